"""No table is cut: at every width each cell stands whole, or its column is named as left out."""

from __future__ import annotations

import re
from functools import cache
from itertools import compress
from pathlib import Path

import pytest

from attnbench.cli.output import console
from attnbench.records.store import read_run
from attnbench.reports.run_report import report_of
from attnbench.reports.table_view import TableView
from attnbench.reports.terminal import text_columns

RESULTS = Path(__file__).parents[2] / "results"
RUNS = sorted({path.parent.name for path in RESULTS.glob("*/records.jsonl")})
WIDTHS = (40, 80, 120, 200)
NOT_SHOWN = re.compile(r"not shown at \d+ columns: (.*?) \(--wide, --columns\)")


@cache
def report(name):
    return report_of(read_run(RESULTS / name / "records.jsonl"))


@pytest.fixture
def printed(capsys, monkeypatch):
    """Return the lines of a report at a width."""

    def show(shown, width, view=None):
        from attnbench.reports.terminal import print_report

        monkeypatch.setenv("COLUMNS", str(width))
        capsys.readouterr()
        print_report(shown, console(), view)
        return capsys.readouterr().out.splitlines()

    return show


def words_of(text):
    """The words of a text, without the marks of verdicts and of footnotes."""
    return re.sub(r"\[\d+\]", "", text).split()


def assert_whole(shown, lines):
    """Every word of every cell is in the lines, but for the columns that they name as left out."""
    text = " ".join(lines)
    named = NOT_SHOWN.findall(text)
    left_out = {name for names in named for name in names.split(", ")}
    found = set(words_of(text))
    squeezed = re.sub(r"\s", "", text)
    for table in shown.tables:
        columns = [one for one in text_columns(table, TableView()) if one.slug not in left_out]
        others = [one for one in columns[1:] if one.value is None]
        # a row without a value in any column that is shown is left out
        rows = [
            not others or any(one.cells[at].plain for one in others)
            for at in range(len(table.rows))
        ]
        for column in columns:
            if column.common:
                continue
            for cell in compress(column.cells, rows):
                for word in words_of(cell.plain.strip(" –")):
                    assert word in found or word in squeezed, (column.slug, word)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", RUNS)
def test_tables_of_runs(name, width, printed):
    lines = printed(report(name), width)
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)
    assert_whole(report(name), lines)


@pytest.mark.parametrize("name", ["quick", "ulsam-table1"])
def test_all_columns_stand_in_one_line_if_wide(name, printed):
    lines = printed(report(name), 40, TableView(wide=True))
    assert "not shown" not in "\n".join(lines)
    assert_whole(report(name), lines)


def test_notes_of_columns_that_are_left_out_are_not_printed(printed):
    found = report("quick")
    for width in (40, 80, 120):
        lines = printed(found, width)
        notes = [line[: line.index("]") + 1] for line in lines if re.match(r"\[\d+\] ", line)]
        body = "\n".join(line for line in lines if not re.match(r"\[\d+\] ", line))
        assert all(note in body for note in notes)


def test_explained_tables_have_every_note(printed):
    found = report("quick")
    (table,) = found.tables
    text = " ".join(printed(found, 120, TableView(explain=True))).replace("  ", " ")
    for note in (*table.footnotes, *found.notes, *found.footer):
        assert " ".join(note.split()) in text


@pytest.fixture(scope="module")
def overview():
    from attnbench.reports.overview.build_overview import build_overview
    from attnbench.reports.overview.entries import collect
    from attnbench.reports.run_report import planned_of

    runs = [read_run(RESULTS / name / "records.jsonl") for name in ("quick", "digits-accuracy")]
    return build_overview(list(collect(map(planned_of, runs))), ["quick", "digits-accuracy"], {})


@pytest.mark.parametrize("width", WIDTHS)
def test_an_overview(width, overview, printed):
    lines = printed(overview, width)
    assert max(map(len, lines)) <= width
    assert_whole(overview, lines)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "words",
    [
        ("show", "backbone", "mobilenet_v3_small", "--size", "32"),
        ("show", "suite", "quick"),
        ("list", "modules", "--long"),
        ("history", RESULTS / "ulsam-table1"),
        ("compare", RESULTS / "ulsam-table1", RESULTS / "ulsam-table1"),
        ("explain",),
        ("cost", "-m", "se", "--channels", "8", "--size", "4", "--no-counters"),
    ],
    ids=lambda words: words[0],
)
def test_commands(words, width, attnbench, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    done = attnbench(*words)
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    # a path or a command has no place to be broken at
    assert [line for line in lines if len(line) > width and " " in line.strip()] == []
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("width", ["", "0", "abc", "-5"])
def test_a_width_that_is_none(width, attnbench, monkeypatch):
    monkeypatch.setenv("COLUMNS", width)
    out = attnbench("table", RESULTS / "ulsam-table1").out
    assert "SE-Net" in out and "not shown" not in out


def test_columns_of_a_table_and_unknown_ones(attnbench):
    run = RESULTS / "quick"
    out = attnbench("table", run, "--columns", "overhead,verdict").out
    head = next(line for line in out.splitlines() if line.startswith("Model"))
    assert head.split() == ["Model", "Eager", "ORT", "Verdict", "Verdict", "Verdict"]
    done = attnbench("table", run, "--columns", "overhaed")
    assert done.status == 2 and done.out == "" and "Did you mean" in done.err
    assert attnbench("table", run, "--wide", "--json").status == 2


def test_unknown_columns_are_refused_before_anything_is_timed(attnbench, monkeypatch):
    monkeypatch.setattr("attnbench.cli.latency._measure", None)
    words = ("-b", "mobilenet_v3_small", "-m", "se", "-p", "after:5", "--columns", "p9")
    done = attnbench("latency", *words)
    assert done.status == 2 and "unknown --columns 'p9'. Did you mean" in done.err
