"""The time that a job will take: what counts, and how it is said."""

from dataclasses import replace

import pytest

from attnbench.registry.plugins import catalog
from attnbench.runner.eta import format_duration, seconds_of
from attnbench.runner.latency_sessions import SessionProtocol
from attnbench.runner.run_suite import Job
from attnbench.suites.conditions import Conditions
from attnbench.suites.plan import make_case


def job(budget=10.0, processes=3, runtime="eager"):
    case = make_case(catalog(), backbone="mobilenet_v2", module="se", placement="after:5")
    timed = case.for_latency(Conditions(runtime))
    protocols = {timed.name: SessionProtocol(budget, processes)}
    return Job(None, [], [timed], {}, None, protocols=protocols)


def test_sampling_is_at_least_budget_times_processes():
    assert seconds_of(job()) > 30
    assert seconds_of(job(budget=20.0)) - seconds_of(job()) == pytest.approx(3 * 10 * 1.3)
    assert seconds_of(job(runtime="executorch")) > seconds_of(job())
    assert seconds_of(job(runtime="a third party's")) > seconds_of(job())


def test_what_is_done_or_skipped_takes_no_time():
    own = job()
    name = own.cases[0].name
    assert seconds_of(replace(own, done={name: None})) == 0
    assert seconds_of(replace(own, skipped={name: "not here"})) == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "about 1 s"), (40, "about 40 s"), (700, "about 12 min"), (5400, "about 1.5 h")],
)
def test_spoken(seconds, text):
    assert format_duration(seconds) == text
