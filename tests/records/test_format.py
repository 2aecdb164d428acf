"""What a record says of its case, without a look into the case's name."""

from pathlib import Path

import pytest

from attnbench.records.format import Record
from attnbench.records.store import read_run

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
