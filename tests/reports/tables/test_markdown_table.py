"""Markdown as GitHub shows it: narrow tables, linked footnotes, lines that fit a screen."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from attnbench.records.store import read_run
from attnbench.reports.run_report import report_of as run_report_of
from attnbench.reports.tables.markdown_table import markdown_text
from attnbench.reports.tables.render import render
from attnbench.reports.tables.report import Cell, Column, Report, Table, TextHead

RUNS = sorted((Path(__file__).parents[3] / "results").glob("*/records.jsonl"))
SMALL = [path for path in RUNS if "latency" not in path.parent.name]


def table_of(rows, **fields):
    columns = tuple(
        Column(name, "unit of some length", numeric=number > 0, shown=(TextHead(name),))
        for number, name in enumerate("abcdefghij"[: len(rows[0])])
    )
    return Table("", columns, tuple(map(tuple, rows)), **fields)


def rendered(table):
    return render(Report("mine", tables=(table,)), "md")


def rows_of(text):
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]


@pytest.mark.parametrize("path", SMALL, ids=lambda path: path.parent.name)
def test_tables_of_committed_runs_fit_and_are_what_the_code_renders(path):
    text = render(run_report_of(read_run(path)), "md")
    assert text == (path.parent / "table.md").read_text(encoding="utf-8")
    lines = [line.replace(r"\|", "") for line in text.splitlines()]
    assert max(map(len, lines)) <= 160
    assert max(line.count("|") - 1 for line in lines if line.startswith("|")) <= 8
    marks = set(re.findall(r"\[\^[\d-]+\](?!:)", text))
    assert marks == {found[:-1] for found in re.findall(r"^\[\^[\d-]+\]:", text, re.MULTILINE)}


def test_a_wide_table_is_split_behind_the_names_of_its_rows():
    row = [Cell("se"), *(Cell(f"{number:,}") for number in range(9))]
    found = rows_of(rendered(table_of([row], keys=1)))
    assert [len(cells) for cells in found] == [8, 8, 8, 3, 3, 3]
    assert [cells[0] for cells in found[2::3]] == ["se", "se"]
    assert found[2][1:] + found[5][1:] == [str(number) for number in range(9)]


def test_a_table_without_names_stays_whole():
    row = [Cell(str(number)) for number in range(10)]
    assert [len(cells) for cells in rows_of(rendered(table_of([row])))] == [10, 10, 10]


def test_long_cells_split_a_table_of_few_columns():
    row = [Cell("se"), Cell("x" * 80), Cell("y" * 80)]
    assert max(map(len, rendered(table_of([row], keys=1)).splitlines())) <= 160


def test_a_mark_of_every_row_stands_in_the_head():
    rows = [[Cell("se"), Cell("1", notes=(1,))], [Cell("eca"), Cell("2", notes=(1, 2))]]
    text = rendered(table_of(rows, footnotes=("All.", "One."), keys=1))
    assert rows_of(text)[0] == ["a", "b[^1-1]"]
    assert rows_of(text)[2:] == [["se", "1"], ["eca", "2[^1-2]"]]
    assert "\n[^1-1]: All.\n\n[^1-2]: One.\n" in text


def test_a_verdict_is_a_mark_that_is_explained_once():
    cells = [
        Cell("+2.9% [+2.1, +3.7] slower", parts=("+2.9%", "[+2.1, +3.7]", "slower")),
        Cell(
            "+0.1% [-0.9, +1.1] same within 1.1%", parts=("+0.1%", "[-0.9, +1.1]", "same within 1%")
        ),
        Cell(printed="524k", ours="526k", verdict="differs"),
        Cell(printed="70.65", verdict="not measured"),
    ]
    text = rendered(table_of([[Cell("se"), cell] for cell in cells], keys=1))
    assert [cells[1] for cells in rows_of(text)[2:]] == [
        r"+2.9% \[+2.1, +3.7\] ▲",
        r"+0.1% \[-0.9, +1.1\] =",
        "524k / 526k ✗",
        "70.65 / –",
    ]
    assert "▲ slower; = same; ✗ differs (for no known reason)." in text


def test_cost_latency_and_accuracy_have_tables_of_their_own():
    heads = [
        TextHead("Module"),
        TextHead("Params", key="params"),
        TextHead("Eager", key="overhead", setting="Eager"),
        TextHead("Top-1", key="top1", setting="Accuracy"),
    ]
    groups = ["", "", "PyTorch, batch 1", "digits, 3 seeds"]
    columns = [
        Column(head.head, group=group, shown=(head,))
        for head, group in zip(heads, groups, strict=True)
    ]
    table = table_of([[Cell("se"), Cell("1"), Cell("+2%"), Cell("90")]], keys=1)
    text = rendered(replace(table, columns=tuple(columns)))
    assert re.findall("^### .*", text, re.MULTILINE) == ["### Cost", "### Latency", "### Accuracy"]
    assert "\nEager: PyTorch, batch 1.\n" in text and "\nAccuracy: digits, 3 seeds.\n" in text
    assert [cells for cells in rows_of(text) if cells[0] == "se"] == [
        ["se", "1"], ["se", "+2%"], ["se", "90"],
    ]  # fmt: skip


@pytest.mark.parametrize("start", ["+ 3", "- 3", "# 3", "3. x", "> x", "= x"])
def test_a_wrapped_line_begins_no_other_block(start):
    text = markdown_text(f"{'word ' * 23}at {start} {'word ' * 20}")
    assert len(text.splitlines()) == 2
    assert not re.match(r"[-+#>=] |\d+\. ", text.splitlines()[1])
