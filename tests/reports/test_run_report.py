"""Tables of a header that are not those of its suite: one line, and no table."""

import copy

import pytest

from attnbench.errors import RecordError
from attnbench.records.format import FORMAT, Header
from attnbench.records.store import Run
from attnbench.reports.run_report import report_of

CASE = {
    "kind": "cost",
    "backbone": None,
    "module": "se",
    "placement": None,
    "channels": 8,
    "size": [8, 8],
}
ROW = {"module": "se", "channels": 8, "size": 8}
SUITE = {
    "suite": {"name": "mine", "title": "Mine"},
    "table": [{"columns": ["label", "params"], "row": [ROW]}],
}


def run_of(path, tables):
    header = Header(
        format=FORMAT,
        suite=copy.deepcopy(SUITE),
        suite_hash="a",
        tables=tables,
        versions={},
        machine={},
    )
    return Run(path, [header])


def row(**changes):
    return {"label": "se", "row": 0, "cases": [CASE]} | changes


def test_tables_that_fit(tmp_path):
    report = report_of(run_of(tmp_path, [[row(), row(row=None, label="added")]]))
    assert [cells[0].text for cells in report.tables[0].rows] == ["se", "added"]


@pytest.mark.parametrize(
    "tables",
    [[], [[]], [[row()], [row()]], [[row(row=1)]], [[row(cases=[CASE, CASE])]]],
    ids=["none", "no row", "two", "no such row", "two cases"],
)
def test_tables_that_do_not_fit(tmp_path, tables):
    with pytest.raises(RecordError, match="damaged header: its tables are not those of its suite"):
        report_of(run_of(tmp_path, tables))
