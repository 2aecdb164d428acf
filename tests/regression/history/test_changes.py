"""Histories from records to changes."""

import pytest

from attnbench.errors import RequestError
from attnbench.regression.history.changes import track
from attnbench.regression.history.report_data import find_changes
from attnbench.regression.history.runs import read_history
from attnbench.regression.history.series import collect

from .conftest import MACHINE, SE, accuracies, cost, latency


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tracks(tmp_path):
    def find(*globs, metrics=()):
        found = collect(read_history(tmp_path / "runs"), globs, metrics)
        return {(one.case, one.metric): track(one) for one in found}

    return find


def test_an_exact_metric_changes_wherever_its_value_does(keep, tracks):
    for at, params in enumerate([10, 10, 11, 11, 10]):
        keep(f"r{at}", cost(params))
    found = tracks()[f"cost/{SE}", "params"]
    assert [(one.before, one.after, one.first_after) for one in found.changes] == [
        (10, 11, 2),
        (11, 10, 4),
    ]
    assert not tracks()[f"cost/{SE}", "macs"].changes


def test_versions_that_changed_as_well_are_named(keep, tracks):
    keep("r0", cost(10), versions={"torch": "2.13", "attnbench": "1"})
    keep("r1", cost(11), versions={"torch": "2.14", "attnbench": "2"})
    (change,) = tracks()[f"cost/{SE}", "params"].changes
    assert change.note == "torch 2.13 -> 2.14"


def test_a_step_in_the_paired_ratio(keep, tracks):
    for at in range(16):
        keep(f"r{at}", latency(1.03 if at < 9 else 1.03 * 1.05, seed=at))
    found = tracks(metrics=["overhead"])[f"latency/{SE}/eager", "overhead"]
    (change,) = found.changes
    assert change.first_after == 9
    assert change.low < 0.0488 < change.high  # log 1.05
    assert [(one.first, one.last) for one in found.segments] == [(0, 8), (9, 15)]


def test_another_machine_is_no_change(keep, tracks):
    other = {**MACHINE, "processor": "Intel"}
    for at in range(16):
        slower = at >= 8
        keep(
            f"r{at}",
            latency(1.2 if slower else 1.03, seed=at),
            machine=other if slower else MACHINE,
        )
    found = tracks()[f"latency/{SE}/eager", "overhead"]
    assert len(found.series.groups) == 2 and len(found.segments) == 2
    assert not found.changes


def test_machines_in_turn_hide_no_step(keep, tracks):
    """Hosted runners come with one processor or another."""
    for at in range(20):
        intel = at % 2
        ratio = (1.2 if intel else 1.03) * (1.05 if at >= 10 and not intel else 1)
        keep(
            f"r{at}",
            latency(ratio, seed=at),
            machine={**MACHINE, "processor": "Intel"} if intel else MACHINE,
        )
    (change,) = tracks()[f"latency/{SE}/eager", "overhead"].changes
    assert (change.last_before, change.first_after) == (8, 10)


def test_accuracy_by_its_seeds(keep, tracks):
    for at in range(12):
        own = [92.0, 91.5, 92.2] if at < 7 else [88.0, 87.4, 88.3]
        keep(f"r{at}", *accuracies(own, [91.0, 90.6, 91.1]))
    (change,) = tracks()[f"accuracy/{SE}/digits/digits", "top1"].changes
    assert change.first_after == 7
    assert change.difference == pytest.approx(-4.0, abs=0.01)


def test_other_luck_of_three_seeds_is_no_change(keep, tracks):
    for at in range(12):
        own = [92.0, 91.5, 92.2] if at < 7 else [91.2, 92.3, 91.6]
        keep(f"r{at}", *accuracies(own, [91.0, 90.6, 91.1]))
    assert not tracks()[f"accuracy/{SE}/digits/digits", "top1"].changes


def test_runs_without_a_value_are_gaps_between(keep, tmp_path):
    keep("r0", cost(10))
    keep("r1", cost(1, status="failed", reason="boom"))
    keep("r2", cost(5, case="cost/other"))
    keep("r3", cost(5, case="cost/foreign"), suite="foreign")
    keep("r4", cost(11))
    found = find_changes(
        history := read_history(tmp_path / "runs"), collect(history, [f"cost/{SE}"])
    )
    own = next(one for one in found.tracks if one.series.metric == "params")
    origin = found.origin(own, own.changes[0])
    # the run of another suite was never to have the case
    assert [(one.folder, reason) for one, reason in origin.gaps] == [
        ("r1/mine", "failed: boom"),
        ("r2/mine", "not in this run"),
    ]
    assert origin.commits is None and not origin.is_certain


def test_ok_that_fails_is_a_change_and_constant_status_is_not_shown(keep, tracks):
    keep("r0", cost(10), cost(1, case="cost/b"))
    keep("r1", cost(1, status="failed", reason="boom"), cost(1, case="cost/b"))
    found = tracks()
    (change,) = found[f"cost/{SE}", "status"].changes
    assert (change.before, change.after, change.difference) == ("ok", "failed", None)
    assert ("cost/b", "status") not in found


def test_globs_and_metrics(keep, tracks):
    keep("r0", cost(10, values={"params": 1, "trainable": 2}), *accuracies([90, 91], [89, 90]))
    assert set(tracks(f"cost/{SE}")) == {(f"cost/{SE}", "params")}
    assert set(tracks("cost/*", metrics=["trainable"])) == {(f"cost/{SE}", "trainable")}
    accuracy = f"accuracy/{SE}/digits/digits"
    for glob in (accuracy, f"{accuracy},seed=1", "accuracy/*,seed=*"):
        assert (accuracy, "top1") in tracks(glob, metrics=["top1"])
    with pytest.raises(RequestError, match=r"--case .*3 cases.*Did you mean 'cost/"):
        tracks("cost/mobilenet_v2/se/after:41")
    with pytest.raises(RequestError, match=r"--metric .*'param'.* params, .*'params'"):
        tracks(metrics=["param"])
