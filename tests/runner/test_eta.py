"""The remaining time of a job: from the durations of the cases that are measured."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from attnbench.records.format import Header, Record
from attnbench.records.store import Run
from attnbench.registry.plugins import catalog
from attnbench.runner.eta import TimeLeft, format_duration
from attnbench.runner.job import Job
from attnbench.runner.latency_sessions import SessionProtocol
from attnbench.suites.case import Conditions, Training
from attnbench.suites.plan import make_case
from attnbench.system.provenance import machine


def record(case, seconds, status="ok"):
    return Record(
        case=case.name,
        kind=case.kind,
        status=status,
        hash="",
        conditions=case.to_json(),
        seconds=seconds,
    )


class Clock:
    """A clock that stands until it is set."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def cases():
    cost = make_case(catalog(), backbone="mobilenet_v2", module="se", placement="after:5")
    timed = [cost.for_latency(Conditions(runtime)) for runtime in ("eager", "openvino")]
    trained = [cost.for_training(Training("digits", "digits-quick", seed), 12) for seed in (0, 1)]
    return [cost, *timed, *trained]


def job(cases, **fields):
    protocols = {case.name: SessionProtocol(20.0, 3) for case in cases if case.conditions}
    suite = SimpleNamespace(suite=SimpleNamespace(memory_gib=None))
    return Job(suite, [], cases, protocols=protocols, **fields)


def test_nothing_but_the_sampling_time_is_known_before_the_first_measurement(cases):
    left = TimeLeft(job(cases))
    assert left.seconds is None
    assert left.sampling_s == 2 * 3 * 20
    assert str(left) == "at least 2 min"


def test_each_kind_takes_as_long_as_its_measured_cases_in_the_mean(cases, monkeypatch):
    monkeypatch.setattr("attnbench.runner.eta.allowed_cores", lambda: [0, 1])
    cost, eager, openvino, first, second = cases
    left = TimeLeft(job(cases))
    for case, seconds in ((cost, 1.0), (eager, 70.0), (first, 300.0)):
        left.done(record(case, seconds))
    assert left.seconds == 70 + 300  # nothing runs beside the last training
    left.done(record(openvino, 70.0))
    assert left.seconds == 300
    left.done(record(second, 100.0))
    assert left.seconds == 0


@pytest.mark.parametrize(("gpus", "seconds"), [([], 2 * 300 / 2), (["2"], 2 * 20)])
def test_trainings_on_a_gpu_take_as_long_as_on_a_gpu(cases, monkeypatch, gpus, seconds):
    monkeypatch.setattr("attnbench.runner.eta.allowed_cores", lambda: [0, 1])
    monkeypatch.setattr("attnbench.runner.eta.local_gpus", lambda: gpus)
    *_, first, second = cases
    before = [replace(first, training=replace(first.training, seed=seed)) for seed in (7, 8)]
    known = [
        record(case, took).model_copy(update={"training": {"device": device}})
        for case, took, device in zip(before, (300.0, 20.0), ("cpu", "cuda:0"), strict=True)
    ]
    left = TimeLeft(job([first, second], known=Run(None, records={one.case: one for one in known})))
    assert left.seconds == seconds
    only_cpu = Run(None, records={known[0].case: known[0]})
    left = TimeLeft(job([first, second], known=only_cpu))
    assert (left.seconds is None) == bool(gpus)  # a processor is no evidence of a GPU


def test_trainings_run_side_by_side(cases, monkeypatch):
    monkeypatch.setattr("attnbench.runner.eta.allowed_cores", lambda: [0, 1])
    known = Run(None, [], {cases[3].name: record(cases[3], 300.0)})
    assert TimeLeft(job(cases[3:], known=known)).seconds == 300
    left = TimeLeft(job([cases[3], replace(cases[3], module="bam"), cases[4]], known=known))
    assert left.seconds == 900 / 2


def test_a_training_takes_as_long_as_its_epochs(cases):
    trained = cases[3]
    short = replace(trained, training=replace(trained.training, epochs=2))
    long = replace(trained, training=replace(trained.training, epochs=10))
    known = Run(None, [], {short.name: record(short, 6.0)})
    assert TimeLeft(job([long], known=known)).seconds == 30


def test_the_time_left_counts_down_and_is_never_a_number_that_has_passed(cases):
    clock = Clock()
    known = Run(None, [], {cases[1].name: record(cases[1], 50.0)})
    left = TimeLeft(job([cases[1]], known=known), clock)
    left.step(cases[1])
    seen = [str(left)]
    for clock.now in (20.0, 49.0, 50.0, 62.0):
        seen.append(left.phrase())
    assert seen == [
        "about 50 s",
        "about 30 s left",
        "about 1 s left",
        "longer than the 50 s estimated",
        "longer than the 50 s estimated",
    ]
    assert left.share == 0.99 and left.elapsed_s == 62


def test_steps_correct_the_time_left(cases):
    clock = Clock()
    known = Run(None, [], {cases[3].name: record(cases[3], 100.0)})
    left = TimeLeft(job([cases[3]], known=known), clock)
    left.step(cases[3])
    clock.now = 100.0
    left.step(cases[3], 0.25)  # four times as slow
    assert left.remaining_s == 0.75 * (100 + 75)
    clock.now = 380.0
    left.step(cases[3], 0.95)
    assert left.remaining_s == pytest.approx(20, rel=0.05)


def test_a_running_training_tells_the_time_of_the_others(cases, monkeypatch):
    monkeypatch.setattr("attnbench.runner.eta.allowed_cores", lambda: [0])
    clock = Clock()
    left = TimeLeft(job(cases[3:]), clock)
    assert str(left) == "" and left.share is None
    left.step(cases[3], 0.0)
    clock.now = 10.0
    left.step(cases[3], 0.5)
    assert left.seconds == 10 + 20


@pytest.mark.parametrize(
    ("then", "machine_then", "seconds"),
    [(0.01, None, 6 * (120 - 60) + 60), (None, None, 120), (None, "another", None)],
)
def test_durations_are_scaled_by_the_probe_without_the_sampling_time(
    cases, then, machine_then, seconds
):
    timed = cases[1]
    header = Header(
        format=4,
        suite={},
        suite_hash="",
        tables=[],
        versions={},
        machine={"processor": machine_then} if machine_then else machine(),
        probe_s=then,
    )
    known = Run(None, [header], {timed.name: record(timed, 120.0)}, {timed.name: header})
    assert TimeLeft(job([timed], known=known, probe_s=0.06)).seconds == (
        None if seconds is None else pytest.approx(seconds)
    )


def test_the_slow_first_count_is_no_evidence(cases):
    """The first one starts the worker: 2.5 s, where the others take a few hundredths."""
    cost = [
        make_case(catalog(), backbone="mobilenet_v2", module="se", placement=f"after:{layer}")
        for layer in range(2, 19)
    ]
    left = TimeLeft(job([*cost, cases[1]]))
    left.done(record(cases[1], 40.0))
    left_s = []
    for case, seconds in zip(cost, [2.5, 0.02, 0.03, 0.02], strict=False):
        left.done(record(case, seconds))
        left_s.append(left.seconds)
    assert left_s == [None, None, pytest.approx(14 * 0.025), pytest.approx(13 * 0.07 / 3)]


def test_records_of_the_run_before_count_but_failures_do_not(cases):
    _, eager, openvino, *_ = cases
    known = Run(None, records={eager.name: record(eager, 40.0)})
    assert TimeLeft(job([openvino], known=known)).seconds == 40
    assert TimeLeft(job([openvino])).seconds is None
    left = TimeLeft(job([eager, openvino]))
    left.done(record(eager, 0.1, "failed"))
    assert left.seconds is None and left.sampling_s == 60


def test_skipped_cases_take_no_time(cases):
    _, eager, *_ = cases
    assert TimeLeft(job([eager], skipped={eager.name: "not here"})).seconds == 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (40, "40 s"), (700, "12 min"), (5400, "1.5 h")]
)
def test_durations_are_rounded(seconds, text):
    assert format_duration(seconds) == text
