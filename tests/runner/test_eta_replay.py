"""Recorded runs again, by a clock of the test: four times as slow, as under a steady load of 4."""

import heapq
from pathlib import Path
from types import SimpleNamespace

import pytest

from attnbench.records.store import Run, read_run
from attnbench.runner.eta import TimeLeft
from attnbench.runner.job import Job
from attnbench.runner.latency_sessions import SessionProtocol, sessions
from attnbench.suites.case import case_from_json

RESULTS = Path(__file__).parents[2] / "results"
LOAD = 4.0
STEPS = (0.0, 0.2, 0.4, 0.6, 0.8)
"""Shares of a session or training at which it reports a step."""
PROBE_S = 0.01


class Replay:
    """A run of ``results/``, at a multiple of its recorded durations, on two cores."""

    def __init__(self, name, monkeypatch, *, load, probed, every):
        monkeypatch.setattr("attnbench.runner.eta.allowed_cores", lambda: [0, 1])
        run = read_run(RESULTS / name / "records.jsonl")
        self.records = {
            record.case: record
            for record in run.records.values()
            if record.status == "ok" and record.kind in ("latency", "accuracy")
        }
        self.cases = [case_from_json(dict(one.conditions)) for one in self.records.values()]
        header = run.header.model_copy(update={"probe_s": PROBE_S})
        kept = dict(list(self.records.items())[::every])
        timed = [case.name for case in self.cases if case.conditions]
        job = Job(
            SimpleNamespace(suite=SimpleNamespace(memory_gib=None)),
            [],
            self.cases,
            known=Run(None, [header], kept, dict.fromkeys(kept, header)),
            protocols=dict.fromkeys(timed, SessionProtocol(3.0, 3)),
            probe_s=PROBE_S * probed,
        )
        self.now, self.load, self.seen = 0.0, load, []
        self.left = TimeLeft(job, lambda: self.now)

    def run(self):
        """Return the share of time passed, the seconds shown and those that are left, each step."""
        self._look()
        for session in sessions(case for case in self.cases if case.conditions):
            self._advance({session.cases: self._seconds(*session.cases)})
        self._advance({(case,): self._seconds(case) for case in self.cases if case.training}, 2)
        return [(at / self.now, shown, self.now - at) for at, shown in self.seen]

    def _seconds(self, *cases):
        return self.load * sum(self.records[case.name].seconds for case in cases)

    def _advance(self, works, places=1):
        """Do works side by side; a finished one makes room for the next."""
        waiting, events = list(works.items()), []

        def begin():
            if waiting:
                cases, seconds = waiting.pop(0)
                for share in (*STEPS, 1.0):
                    at = self.now + share * seconds
                    heapq.heappush(events, (at, len(waiting), share, cases, seconds))

        for _ in range(places):
            begin()
        while events:
            self.now, _, share, cases, seconds = heapq.heappop(events)
            self._look()
            if share < 1:
                self.left.step(cases[0], share)
            else:
                for case in cases:
                    done = {"seconds": seconds / len(cases)}
                    self.left.done(self.records[case.name].model_copy(update=done))
                begin()
            self._look()

    def _look(self):
        shown = self.left.remaining_s
        if shown is not None:
            self.seen.append((self.now, shown))


def off_by(seen, least=0.05):
    """Return the largest factor between shown and real, while a share of the time is left."""
    rest = [(shown, left) for at, shown, left in seen if 1 - at > least]
    return max(max(shown / left, left / max(shown, 1e-9)) for shown, left in rest)


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("name", ["quick", "digits-accuracy", "mobilenet-latency"])
def test_under_a_steady_load_of_4_the_time_left_is_within_a_factor_of_two(name, every, monkeypatch):
    replay = Replay(name, monkeypatch, load=LOAD, probed=LOAD, every=every)
    assert off_by(replay.run()) < 2


@pytest.mark.parametrize("name", ["quick", "digits-accuracy"])
def test_ended_work_corrects_a_probe_that_missed_the_load(name, monkeypatch):
    seen = Replay(name, monkeypatch, load=LOAD, probed=1.0, every=3).run()
    assert off_by(seen) > 2
    assert off_by([look for look in seen if look[0] > 0.3]) < 2
