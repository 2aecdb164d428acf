import shlex
from itertools import chain

import pytest

from attnbench.regression.compare.comparison import MetricChange, RunComparison
from attnbench.regression.compare.report import (
    change,
    commands_of,
    markdown_blocks,
    summary,
    text_blocks,
    value,
    why,
)
from attnbench.reports.document import to_markdown
from attnbench.reports.terminal import block_lines


def as_text(comparison):
    lines = (block_lines(block, 1000) for block in text_blocks(comparison, failed=True))
    return "".join(f"{line}\n" for line in chain(*lines))


def as_markdown(comparison):
    return to_markdown(markdown_blocks(comparison))


CASE = "cost/net/ulsam,groups=4/after:14,17"
SLOWER = MetricChange("latency/net/se/eager", "overhead", 1.05, 1.102, 0.039, 0.0621, change=0.05)
LARGER = MetricChange(CASE, "params", 3_505_684, 3_505_685, reason="+1", change=1 / 3_505_684)
ALL = RunComparison(
    regressions=(LARGER, MetricChange(CASE, "macs", 10, 20, reason="+10", change=1.0), SLOWER),
    improvements=(MetricChange("cost/b", "status", "failed", "ok"),),
    unchanged=(MetricChange("cost/c", "params", 1, 1),) * 7,
    inconclusive=(
        MetricChange("latency/d", "overhead", 1.0, 1.02, -0.01, 0.05, "", 0.061, 0.02),
        MetricChange("accuracy/e,seed=*", "top1", 90.0, 89.5, None, None, "2 seeds", 1.25, -0.5),
    ),
    incomparable=tuple(
        MetricChange(f"latency/{n}", "overhead", 1.0, 1.0, reason="other machine") for n in range(9)
    ),
    missing=(MetricChange("cost/gone", "status", "ok", "absent", reason="NEW has no such case"),),
    notes=("Different machines.",),
    base="my runs/base",
    new="new",
)


def test_the_summary_counts_what_there_is():
    assert summary(ALL) == (
        "3 regressions, 1 improvement, 7 unchanged, 2 inconclusive, 9 incomparable, 1 missing"
    )
    assert summary(RunComparison()) == "nothing was compared"
    one = (MetricChange("cost/a", "status", "ok", None),)
    assert summary(RunComparison(missing=one, unchanged=one)) == "1 unchanged, 1 missing"
    assert summary(RunComparison(unchanged=one)) == "no regressions, 1 unchanged"


@pytest.mark.parametrize(
    ("metric", "figure", "said"),
    [
        ("params", 3_505_684, "3,505,684"),
        ("overhead", 1.0421, "+4.2%"),
        ("overhead", 0.99, "-1.0%"),
        ("overhead", 12.34, "12.3x"),
        ("top1", 90.123, "90.12%"),
        ("status", "failed", "failed"),
        ("peak_bytes", None, "none"),
    ],
)
def test_values(metric, figure, said):
    assert value(metric, figure) == said


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (SLOWER, "+5.0% [+3.9, +6.2]"),
        (LARGER, "+3e-05%"),
        (MetricChange("c", "macs", 1, 3, change=2.0), "+200%"),
        (MetricChange("c", "macs", 100, 99, change=-0.01), "-1.0%"),
        (
            MetricChange("c", "top1", 90.0, 89.0, -1.5, -0.5, change=-1.0),
            "-1.00 points [-1.50, -0.50]",
        ),
        (
            MetricChange("c", "overhead", 1.0, 1.0, -0.0001, 0.0001, change=0.00001),
            "0.0% [0.0, 0.0]",
        ),
        (MetricChange("c", "status", "ok", "failed"), ""),
    ],
)
def test_changes(one, said):
    assert change(one) == said


def test_the_smallest_change_is_in_the_metrics_unit():
    assert why(ALL.inconclusive[0]) == "the smallest change seen would be 6.1%"
    assert why(ALL.inconclusive[1]) == "2 seeds; the smallest change seen would be 1.25 points"


def test_the_text_is_what_a_terminal_shows():
    lines = as_text(ALL).splitlines()
    assert lines[0] == f"✗ failed: {summary(ALL)}"
    assert lines[1] == "Different machines."
    start = lines.index("Regressions")
    assert lines[start + 1 : start + 6] == [
        f"  {CASE}",
        "    params    3,505,684 -> 3,505,685  change +3e-05%  (+1)",
        "    macs      10 -> 20  change +100%  (+10)",
        "  latency/net/se/eager",
        "    overhead  +5.0% -> +10.2%  change +5.0% [+3.9, +6.2]",
    ]
    assert "    and 6 more" in lines
    assert "cost/c" not in as_text(ALL)


def test_each_regression_and_missing_case_has_one_command_that_a_shell_reads():
    commands = commands_of(ALL)
    cases = [CASE, "latency/net/se/eager", "cost/gone"]
    assert [shlex.split(one)[:5] for one in commands] == [
        ["attnbench", "accept", "my runs/base", "new", case] for case in cases
    ]
    assert all(one.endswith(' --reason "..."') for one in commands)
    assert all(one in as_text(ALL) and one in as_markdown(ALL) for one in commands)


def test_a_glob_is_quoted():
    assert "'accuracy/e,seed=*'" in ALL.accept_command("accuracy/e,seed=*")


def test_markdown_has_a_summary_and_tables():
    text = as_markdown(ALL)
    assert text.startswith(f"**attnbench: {summary(ALL)}**\n")
    assert f"| `{CASE}` | params | 3,505,684 | 3,505,685 | +3e-05% | +1 |" in text
    assert text.count("<details>") == text.count("</details>") == 2
    assert r"+5.0% \[+3.9, +6.2\]" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {7}


def test_a_reason_cannot_break_a_table():
    bad = MetricChange("cost/a", "status", "ok", "failed", reason="a | b\n<script>")
    assert r"a \| b &lt;script&gt; |" in as_markdown(RunComparison(regressions=(bad,)))


def test_a_long_comment_is_cut():
    many = tuple(
        MetricChange(f"cost/{'x' * 80}{n}", "params", 1, 2, change=1.0) for n in range(500)
    )
    text = as_markdown(RunComparison(improvements=many, added=many, incomparable=many))
    assert len(text) < 65_536
    assert "and 440 more" in text


@pytest.mark.parametrize("show", [as_text, as_markdown])
def test_nothing_found_is_one_line(show):
    assert len(show(RunComparison()).splitlines()) == 1
