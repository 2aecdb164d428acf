"""Statuses, exact figures, what runs differ in, and old formats."""

import json

import pytest

from attnbench.errors import RequestError
from attnbench.records.store import read_run
from attnbench.regression.compare.compare_runs import compare

from .made import ARM, COST, PLAIN, PROVED, RUNTIME, SUITE, header, record, run_of, write_run


def found(base, new, gates=None):
    """The verdict and change of each metric, where there is one case."""
    changes = list(compare(base, new, gates).all())
    assert len({one.metric for _, one in changes}) == len(changes)
    return {one.metric: (verdict, one) for verdict, one in changes}


def verdicts(base, new, gates=None):
    return {metric: verdict for metric, (verdict, _) in found(base, new, gates).items()}


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ("ok", "failed", "regressions"),
        ("ok", "skipped", "missing"),
        ("ok", None, "missing"),
        ("failed", "ok", "improvements"),
        ("failed", "failed", "unchanged"),
        ("failed", "skipped", "missing"),
        ("failed", None, "missing"),
        ("skipped", "ok", "improvements"),
        ("skipped", "failed", "regressions"),
        ("skipped", "skipped", "unchanged"),
        ("skipped", None, "missing"),
        (None, "ok", "added"),
        (None, "failed", "added"),
        (None, "skipped", "added"),
    ],
)
def test_how_cases_end(before, after, verdict):
    base, new = (
        run_of(record("cost/other"), *([record(status=one, reason="because")] if one else []))
        for one in (before, after)
    )
    ((name, change),) = [one for one in compare(base, new).all() if one[1].case == COST]
    assert name == verdict
    assert (change.base, change.new) == (before or "absent", after or "absent")
    assert change.metric == "status"
    assert ("because" in change.reason) is (after is not None)


def test_skipped_for_another_reason_cannot_be_compared():
    base, new = (run_of(record(status="skipped", reason=one)) for one in ("no timm", "no memory"))
    verdict, change = found(base, new)["status"]
    assert verdict == "incomparable"
    assert "no timm" in change.reason and "no memory" in change.reason


@pytest.mark.parametrize("metric", ["params", "trainable", "macs", "activations", "bytes"])
@pytest.mark.parametrize(
    ("step", "verdict"), [(1, "regressions"), (-1, "improvements"), (0, "unchanged")]
)
def test_counts_are_exact(metric, step, verdict):
    base, new = (run_of(record(values={metric: 10**9 + one})) for one in (0, step))
    name, change = found(base, new)[metric]
    assert name == verdict
    assert change.new - change.base == step
    assert change.change == pytest.approx(step / 10**9, abs=1e-15)


@pytest.mark.parametrize(
    ("gate", "new", "verdict"),
    [
        (0.1, 1100, "unchanged"),
        (0.1, 1101, "regressions"),
        (0.1, 999, "improvements"),
        ("exact", 1001, "regressions"),
        ("ignore", 9999, None),
    ],
)
def test_gates_of_counts(gate, new, verdict):
    runs = (run_of(record(values={"params": one, "macs": 5})) for one in (1000, new))
    assert verdicts(*runs, {"params": gate}).get("params") == verdict


def test_an_unknown_gate_is_refused():
    with pytest.raises(RequestError, match="Did you mean 'overhead'"):
        compare(run_of(record()), run_of(record()), {"overheads": 0.1})


def test_from_nothing_to_something_is_a_regression_in_json_too():
    base, new = (run_of(record(values={"macs": one})) for one in (0, 1))
    comparison = compare(base, new)
    document = json.loads(json.dumps(comparison.to_json(), allow_nan=False))
    assert document["regressions"][0]["change"] is None
    assert document["ok"] is False


def test_a_figure_that_one_run_lacks_cannot_be_compared():
    base, new = (
        run_of(record(values={"params": 1})),
        run_of(record(values={"params": 1, "macs": 2})),
    )
    assert verdicts(base, new) == {"params": "unchanged", "macs": "incomparable"}


def latency(fallbacks=None, versions=None, case=ARM, precision="fp32", device="cpu", **values):
    runtime = RUNTIME | {"fallbacks": fallbacks or {}}
    if versions:
        runtime |= {"versions": versions}
    conditions = {"conditions": {"precision": precision, "device": device}}
    return run_of(record(case, runtime=runtime, values=PROVED | values, conditions=conditions))


@pytest.mark.parametrize(
    ("before", "after", "metric", "verdict"),
    [
        ({}, {"aten.amax not delegated": 1}, "undelegated", "regressions"),
        ({"aten.amax not delegated": 2}, {"aten.amax not delegated": 1}, "undelegated", "improvements"),
        ({"aten.amax not delegated": 2}, {"aten.amax not delegated": 2}, "undelegated", "unchanged"),
        ({"aten.amax not delegated": 1}, {"aten.mean not delegated": 1}, "undelegated", "regressions"),
        ({}, {"graph break: print": 1}, "graph_breaks", "regressions"),
        ({"graph break: print": 2}, {}, "graph_breaks", "improvements"),
        ({}, {}, "graph_breaks", None),
    ],
)  # fmt: skip
def test_what_left_the_fast_path(before, after, metric, verdict):
    assert verdicts(latency(before), latency(after)).get(metric) == verdict


def test_which_operators_left_is_said():
    _, change = found(latency({"a": 1, "b": 2}), latency({"b": 3, "c": 1}))["undelegated"]
    assert (change.base, change.new) == (3, 4)
    assert change.reason == "+1; a: 1 to 0, b: 2 to 3, c: 0 to 1"


def test_another_version_of_the_runtime_delegates_otherwise():
    base = latency({"a": 1})
    new = latency({"a": 2}, versions={"torch": "2.14.1", "onnxruntime": "1.33.0"}, peak_bytes=7)
    result = found(base, new)
    assert result["undelegated"][0] == result["peak_bytes"][0] == "incomparable"
    assert result["undelegated"][1].reason == "onnxruntime 1.32.0, then 1.33.0"


@pytest.mark.parametrize(
    ("before", "after", "device", "verdict"),
    [
        (1000, 1001, "cpu", "regressions"),
        (1000, 999, "cpu", "improvements"),
        (1000, 1000, "cpu", "unchanged"),
        (1000, 1005, "cuda", "unchanged"),
        (1000, 1100, "cuda", "regressions"),
        (1000, None, "cpu", "regressions"),
        (None, None, "cpu", None),
        (None, 1000, "cpu", "incomparable"),
    ],
)
def test_peak_memory(before, after, device, verdict):
    runs = (latency(peak_bytes=one, device=device) for one in (before, after))
    assert verdicts(*runs).get("peak_bytes") == verdict


@pytest.mark.parametrize(
    ("before", "after", "precision", "verdict"),
    [
        (1e-6, 9e-5, "fp32", "unchanged"),
        (1e-6, 2e-4, "fp32", "regressions"),
        (2e-4, 1e-6, "fp32", "improvements"),
        (1e-2, 5e-2, "int8", "unchanged"),
        (1e-2, None, "int8", "regressions"),
    ],
)
def test_equality_of_output(before, after, precision, verdict):
    runs = (latency(max_error=one, precision=precision) for one in (before, after))
    assert verdicts(*runs)["output"] == verdict


def test_a_case_without_figures_is_still_unchanged():
    run = run_of(record(PLAIN, values={}))
    assert verdicts(run, run) == {"status": "unchanged"}


def test_counts_are_compared_across_machines_and_versions_and_it_is_said():
    base = run_of(record())
    new = run_of(
        record(values={"params": 1001, "macs": 50_000}),
        machine={"system": "Linux", "processor": "Xeon", "cores": 8},
        versions={"torch": "2.15.0", "attnbench": "0.1.0"},
    )
    comparison = compare(base, new)
    (one,) = comparison.regressions
    assert one.reason == "+1; torch 2.14.1, then 2.15.0"
    assert len(comparison.notes) == 2
    assert "EPYC" in comparison.notes[0] and "Xeon" in comparison.notes[0]
    assert "torch 2.14.1, then 2.15.0" in comparison.notes[1]
    assert "attnbench" not in comparison.notes[1]


def test_another_suite_version_is_said():
    other = {"suite": SUITE["suite"] | {"version": 2}}
    comparison = compare(run_of(record()), run_of(record(), suite=other))
    assert "mine version 1, then mine version 2" in comparison.notes[0]
    assert len(comparison.unchanged) == 2


def test_like_runs_have_no_notes():
    assert compare(run_of(record()), run_of(record())).notes == ()


def test_changes_are_in_the_order_of_the_base():
    names = ["cost/b", "cost/a", "cost/c"]
    base = run_of(*(record(name, values={"params": 1}) for name in names))
    new = run_of(*(record(name, values={"params": 2}) for name in sorted(names)))
    assert [one.case for one in compare(base, new).regressions] == names


@pytest.mark.parametrize("number", [1, 2])
def test_older_formats_compare(tmp_path, number):
    suite = {"suite": SUITE["suite"] | ({"kinds": ["cost"]} if number == 1 else {})}
    old = json.loads(header(format=number, suite=suite).model_dump_json())
    del old["removed"]
    kept = {"case", "kind", "status", "hash", "conditions", "values"}
    lines = [json.loads(record().model_dump_json(include=kept))]
    if number == 2:
        kept |= {"samples", "runtime"}
        lines.append(json.loads(record(ARM).model_dump_json(include=kept)))
    base = read_run(write_run(tmp_path / "old", old, *lines))
    new = run_of(record(values={"params": 1001, "macs": 50_000}), record(ARM))
    comparison = compare(base, new)
    assert [one.metric for one in comparison.regressions] == ["params"]
    assert not comparison.missing and len(comparison.added) == (number == 1)


def test_a_run_that_was_cut_off_is_compared_as_far_as_it_goes_and_it_is_said(tmp_path):
    base = read_run(write_run(tmp_path / "base", header(), record(), record("cost/b")))
    path = write_run(tmp_path / "new", header(), record(), record("cost/b"))
    path.write_bytes(path.read_bytes()[:-30])
    comparison = compare(base, read_run(path))
    assert [one.case for one in comparison.missing] == ["cost/b"]
    assert "ends in half a line" in comparison.notes[0]
