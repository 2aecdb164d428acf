"""Reports for people: short where all is well, readable at any width, safe in Markdown."""

import io

import pytest
from rich.console import Console

from attnbench.conformance.checks import CHECKS
from attnbench.conformance.findings import (
    INTERRUPTED,
    ConformanceReport,
    failure,
    note,
    skip,
    success,
)
from attnbench.reports.conformance import as_markdown, print_text

LONG = (
    "the card's formula gives 1,024 parameters and the module has 1,056: 32 of them are in squeeze.bias, "
    * 3
)


def report(name="se", found=(), seconds=3.14):
    """A report over all checks; ``found`` are pairs of check and finding."""
    findings = []
    for check in CHECKS:
        own = [one for key, one in found if key == check]
        findings += [one.of(check) for one in own or [success()]]
    return ConformanceReport(name, name, f"{name}.py:7", tuple(findings), seconds)


def text(*reports, width=1000, verbose=False):
    file = io.StringIO()
    print_text(
        reports, Console(file=file, width=width, highlight=False, markup=False), verbose=verbose
    )
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_sound_module_is_one_line():
    assert text(report()) == [f"se  ok      {len(CHECKS)} checks, 3.1 s"]


def test_what_is_not_well_stands_below_most_pressing_first():
    found = [("formulas", note("no card")), ("batch_one", failure("raises X", "Guard it."))]
    assert text(report(found=found)) == [
        f"se  broken  {len(CHECKS)} checks, 1 broken, 1 note, 3.1 s  (se.py:7)",
        "  broken  batch_one  raises X",
        "                     do: Guard it.",
        "  note    formulas   no card",
    ]


def test_one_thing_said_of_several_checks_is_said_once():
    lines = text(report(found=[(one, skip("no card", "Buy one.")) for one in ("maps", "nan")]))
    assert lines[1:] == [
        "  skipped  2 checks  no card",
        "                     do: Buy one.",
        "                     maps, nan",
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_long_reasons_are_folded_into_their_column(width):
    many = [
        report(name)
        for name in (
            "se",
            "bam",
            "non_local,embed=64,mode=dot_product,subsample=true,blend=true,reduction=2",
        )
    ]
    lines = text(*many, report("x", [("batch_independence", failure(LONG, LONG))]), width=width)
    rows = [line for line in lines if line.startswith("  ")]
    assert len(rows) > 4 and all(len(line) <= width for line in rows)
    assert all(line.startswith(" " * 30) for line in rows[1:] if "Module" not in line)
    assert " ".join(" ".join(line.split()) for line in rows).count("1,056") == 6


def test_verbose_lists_every_check_with_its_sentence():
    lines = text(report(found=[("maps", failure("shrinks", "Pad."))]), verbose=True)
    assert f"  ok      widths              {CHECKS['widths'].title}" in lines
    at = next(number for number, line in enumerate(lines) if line.startswith("  broken"))
    assert [line.strip() for line in lines[at + 1 : at + 3]] == ["shrinks", "do: Pad."]
    assert len([line for line in lines if line.startswith("  ok")]) == len(CHECKS) - 1


def test_several_end_in_a_table_with_drift_where_it_is_known():
    lines = text(
        report("se", [("drift", success(drift=0.5))]), report("bam", [("nan", failure("x", "y"))])
    )
    assert "Module  Broken  Declared  Note  Skipped  Drift" in [line.strip() for line in lines]
    assert "se           0         0     0        0  50.0%" in [line.strip() for line in lines]
    assert lines[-1] == "2 modules; 1 broken: bam"
    assert "Drift" not in "".join(text(report("se"), report("bam")))


def test_what_was_interrupted_is_not_called_well():
    lines = text(report("se", [("drift", skip(INTERRUPTED))]), report("bam"))
    assert lines[0].startswith("se   unfinished") and lines[-1] == "2 modules; 1 unfinished: se"


def test_markdown_shows_what_is_broken_and_folds_the_rest():
    bad = report("my.py:<A|B>", [("nan", failure("a|b <i> *c*", "Do [it]."))])
    written = as_markdown([report("se", [("graph", note("n"))]), report("bam"), bad])
    assert written.startswith(r"**attnbench check: 3 modules; 1 broken: my.py:&lt;A\|B&gt;**")
    assert "| broken | nan | a\\|b &lt;i&gt; \\*c\\* | Do \\[it\\]. |" in written
    assert written.index(r"#### <code>my.py:&lt;A\|B&gt;</code>: broken") < written.index(
        "<details><summary><code>se</code>"
    )
    assert "<code>bam</code>" not in written and "| `bam` | ok | 0 |" in written


def test_markdown_of_one_module_and_of_very_many_findings():
    assert as_markdown([report()]) == f"**attnbench check: se ok, {len(CHECKS)} checks**\n"
    many = ConformanceReport(
        "x", "x", "x", tuple(failure(f"r{n}", "y").of("maps") for n in range(60))
    )
    written = as_markdown([many])
    assert "and 20 more" in written and "r39" in written and "r40" not in written


def test_nothing_examined_is_not_all_well():
    assert as_markdown([]) == "**attnbench check: no module was examined**\n"
    assert report("se", [("drift", skip(INTERRUPTED))]).to_dict()["verdict"] == "unfinished"
