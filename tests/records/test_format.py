"""Record format: what a record says of its case, and runs of older formats."""

import json
from pathlib import Path

import pytest

from attnbench.records.format import Record, upgrade_header
from attnbench.records.store import read_run
from attnbench.reports.run_report import report_of

RESULTS = Path(__file__).parents[2] / "results"


def record(case, kind, **conditions):
    return Record(case=case, kind=kind, status="ok", hash="1", conditions=conditions)


def test_a_training_has_one_key_for_all_seeds():
    made = record("accuracy/net/se/digits/r,seed=12", "accuracy", training={"seed": 12})
    assert (made.seed, made.case_key) == (12, "accuracy/net/se/digits/r")


@pytest.mark.parametrize("kind", ["cost", "latency"])
def test_any_other_case_is_its_own_key(kind):
    made = record(f"{kind}/net/mine,seed=1", kind, training=None)
    assert (made.seed, made.case_key) == (None, made.case)


def test_conditions_that_an_older_format_lacks_have_their_defaults():
    old = {"runtime": "compile", "batch": 8, "precision": "fp32", "device": "cpu", "threads": 1}
    made = record("latency/net/plain/compile,batch=8", "latency", conditions=old)
    assert made.timing_conditions == {**old, "cold": False, "graph": False}


def test_committed_trainings_end_with_their_seed():
    records = read_run(RESULTS / "digits-accuracy" / "records.jsonl").records.values()
    trainings = [made for made in records if made.kind == "accuracy"]
    assert trainings and all(f"{m.case_key},seed={m.seed}" == m.case for m in trainings)


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
    assert upgrade_header({"format": 1, "suite": suite}) == {"format": 1, "suite": suite}


def test_the_present_format_is_left_as_it_is():
    header = {"format": 2, "suite": {"suite": {"kinds": 1}}}
    assert upgrade_header(header) == header
