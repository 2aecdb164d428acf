"""Runs of older formats are read as they are."""

import json

import pytest

from attnbench.records.header_formats import upgraded
from attnbench.records.store import read_run
from attnbench.reports.run_report import report_of

# a run as format 1 wrote it, cut to one row
HEADER = {
    "format": 1,
    "suite": {
        "suite": {"name": "old", "version": 1, "title": "Old", "source": "", "url": "",
                  "kinds": ["cost"], "size": 224, "counters": False, "limit_s": 600.0,
                  "memory_gib": None, "notes": []},
        "nominal": {},
        "reasons": {},
        "table": [{"title": "", "columns": ["label", "params"], "groups": None, "reference": None,
                   "best": {}, "cite": False, "notes": [],
                   "row": [{"label": "V2", "backbone": "mobilenet_v2", "module": None,
                            "placement": None, "channels": None, "size": None, "printed": {},
                            "reasons": {}, "note": ""}]}],
    },
    "suite_hash": "0",
    "tables": [[{"label": "V2", "row": 0, "cases": [
        {"kind": "cost", "backbone": "mobilenet_v2", "module": None, "placement": None,
         "channels": None, "size": [224, 224], "counters": False}]}]],
    "versions": {"torch": "2.14.1"},
    "machine": {"cores": 2},
    "commit": None,
}  # fmt: skip
RECORD = {
    "case": "cost/mobilenet_v2/plain", "kind": "cost", "status": "ok", "hash": "1",
    "conditions": {}, "values": {"params": 3504872}, "seconds": 0.1,
}  # fmt: skip


def test_a_run_of_format_1_is_shown(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text(f"{json.dumps(HEADER)}\n{json.dumps(RECORD)}\n")
    (table,) = report_of(read_run(path)).tables
    assert [cell.text for cell in table.rows[0]] == ["V2", "3,504,872"]


@pytest.mark.parametrize("suite", [None, 3, {}, {"suite": 3}])
def test_a_damaged_header_stays_damaged(suite):
    assert upgraded({"format": 1, "suite": suite}) == {"format": 1, "suite": suite}


def test_the_present_format_is_left_as_it_is():
    header = {"format": 2, "suite": {"suite": {"kinds": 1}}}
    assert upgraded(header) == header
