"""What a worker answers becomes an ``ok`` record only if it is complete and of the right types."""

import json
import math

import pytest

from attnbench.records.result_values import complete_record, plain_text

COUNTS = ("params", "trainable", "params_no_norm", "macs", "activations", "bytes", "operators")
COST = {"values": dict.fromkeys(COUNTS, 3) | {"formula_macs": None}}
SECONDS = {"p": [1.0], "baseline again": [1.0], "a": [1.0]}
TIMES = {"baseline": "p", "seconds": SECONDS, "calls": dict.fromkeys(SECONDS, 1), "warmup_s": 0.1,
         "sampling_s": 0.1, "stopped": "budget"}  # fmt: skip
LATENCY = {
    "values": {"max_error": None, "tolerance": 1e-4, "peak_bytes": None, "load_s": 0.1},
    "samples": [TIMES],
    "runtime": {},
}
ACCURACY = {"values": {"top1": 90.0, "top5": 99, "loss": 0.1, "steps": 7}, "training": {}}
RESULTS = {"cost": COST, "latency": LATENCY, "accuracy": ACCURACY, "export": {"runtime": {}}}


def made(kind, result, **changes):
    fields = {"case": "a", "kind": kind, "status": "ok", "reason": None, "notes": [], "hash": "1"}
    return complete_record({**fields, "conditions": {}, **changes}, result)


@pytest.mark.parametrize("kind", RESULTS)
def test_a_complete_result_is_kept_as_it_is(kind):
    record = made(kind, RESULTS[kind])
    assert record.status == "ok"
    assert record.model_dump()["values"] == RESULTS[kind].get("values", {})
    assert made(kind, {}).status == "failed"


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        *(("cost", {name: None}) for name in COUNTS),
        *(("cost", {"macs": value}) for value in (3.0, "3", True, -1, [3], math.nan)),
        ("cost", {"formula_macs": 1.5}),
        ("cost", {"delta_macs": "many"}),
        *(("latency", {"tolerance": value}) for value in (None, math.inf, math.nan, "0")),
        ("latency", {"load_s": math.nan}),
        ("latency", {"peak_bytes": 1.5}),
        *(("accuracy", {"top1": value}) for value in (None, 100.5, -1.0, math.nan, "90")),
        ("accuracy", {"loss": math.inf}),
        ("accuracy", {"steps": 1.5}),
        ("accuracy", {"int8_top1": math.nan}),
    ],
)
def test_a_wrong_value_is_a_failure_that_names_it(kind, values):
    result = RESULTS[kind]
    record = made(kind, {**result, "values": {**result["values"], **values}})
    assert (record.status, record.values) == ("failed", {})
    assert next(iter(values)) in record.reason


@pytest.mark.parametrize(
    "samples", [[], [None], [{"x": 1}], [{"baseline": "p", "seconds": {"p": [0.0]}}]]
)
def test_samples_that_are_none(samples):
    record = made("latency", {**LATENCY, "samples": samples})
    assert (record.status, record.samples) == ("failed", [])
    assert "samples" in record.reason


def test_a_missing_count_says_so():
    values = {name: 1 for name in COUNTS if name != "macs"}
    assert made("cost", {"values": values}).reason == (
        "the result is incomplete or damaged: values.macs: field required"
    )


def test_a_result_cannot_pass_for_that_of_another_case():
    record = made("cost", {**COST, "case": "b", "hash": "2", "status": "skipped", "kind": "x"})
    assert (record.case, record.hash, record.status, record.kind) == ("a", "1", "ok", "cost")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("bad \udcff", "bad \\udcff"),
        ("a\ud83d\ude00b", "a\\ud83d\\ude00b"),  # halves of a pair are no pair in Python
        ("\\\udcff\\", "\\\\udcff\\"),
        ("héllo 😀", "héllo 😀"),
    ],
)
def test_lone_surrogates_are_escaped(text, plain):
    assert plain_text({text: [text]}) == {plain: [plain]}
    failed = made("cost", {}, status="failed", reason=text)
    assert json.loads(failed.model_dump_json())["reason"] == plain
    assert made("cost", {**COST, "card": {"title": text}}).card == {"title": plain}
