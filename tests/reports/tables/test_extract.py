"""Of a large table the best and the worst rows are shown, and those without values."""

from __future__ import annotations

from attnbench.reports.tables.extract import extract
from attnbench.reports.tables.report import Cell, Column, Report, Table


def table_of(count, **texts):
    columns = (Column("Module"), Column("Overhead"))
    rows = tuple((Cell(f"m{i}"), Cell(texts.get(f"m{i}", "1"))) for i in range(count))
    merits = tuple(None if f"m{i}" in texts else float(count - i) for i in range(count))
    return Report("r", tables=(Table("", columns, rows, merits=merits),))


def names_of(report):
    return [row[0].text for row in report.tables[0].rows]


def test_best_worst_failed_and_skipped_rows_in_the_order_of_the_table():
    report = extract(table_of(40, m7="failed", m9="skipped"), "attnbench table r")
    worst, best = ["m0", "m1", "m2", "m3", "m4"], ["m35", "m36", "m37", "m38", "m39"]
    assert names_of(report) == [*worst, "m7", "m9", *best]
    assert report.tables[0].notes == ("12 of 40 rows; all of them: attnbench table r",)


def test_a_small_table_stands_whole():
    assert extract(table_of(30), "") == table_of(30)


def test_without_merits_the_first_rows_stand():
    (table,) = table_of(40).tables
    found = extract(Report("r", tables=(Table("", table.columns, table.rows),)), "")
    assert names_of(found) == [f"m{i}" for i in range(30)]
