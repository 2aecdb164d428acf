"""Remaining duration of a job: from durations of this machine's records, its speed, and the clock.

A duration that a record of the run gives is scaled by the ratio of two speed probes
(:mod:`attnbench.system.speed_probe`): that of this run and that in the record's header. The
sampling time of a latency session is set by its protocol, and is not scaled. What ends corrects
what is expected of the rest, and so does the share that a running case reports of itself.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from attnbench.records.format import Header, Record
from attnbench.runner.durations import Durations, Work
from attnbench.runner.job import Job
from attnbench.runner.latency_sessions import sessions
from attnbench.suites.case import Case
from attnbench.system.provenance import machine
from attnbench.system.speed_probe import probe_speed
from attnbench.timing.isolation import allowed_cores
from attnbench.workers.pool import local_gpus
from attnbench.workers.process import Limits, share_memory

LONG_KINDS = ("latency", "accuracy")
"""Kinds whose cases take seconds to hours; counts take an instant."""
_TRUSTED_S = 20.0
"""Seconds of ended work that count as much as the records from before."""
_LEAST_SHARE = 0.05
"""Share of a case from which its own speed says how long the rest takes."""


def with_probe(job: Job) -> Job:
    """Return the job with the speed of this machine, if it has long cases to measure and keep."""
    if job.folder is None or not any(case.kind in LONG_KINDS for case in job.pending):
        return job
    return replace(job, probe_s=probe_speed())


@dataclass
class _Unit:
    """Cases that are measured together: the arms of a session, or one case of another kind."""

    kind: str
    works: dict[str, Work]
    """Work of each case that is missing, by its name."""
    sampling_s: float = 0.0
    """Sampling time of a session."""
    start: float | None = None
    share: float = 0.0
    """Share that is done."""


class TimeLeft:
    """Remaining time of a job.

    Trainings run one on each GPU, without any one on each core; those on the other kind of device
    are no evidence.

    Args:
        job: the job at its start; the records that its folder already has count as measured.
        clock: clock in seconds.
    """

    def __init__(self, job: Job, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._units = {name: unit for unit in _units(job) for name in unit.works}
        trainings = sum(unit.kind == "accuracy" for unit in self._units.values())
        gpus = len(local_gpus()) if trainings else 0
        limits = Limits(memory_bytes=job.memory_bytes)
        self._parallel, _ = share_memory(limits, min(trainings, gpus or len(allowed_cores())))
        self._ended_s = self._expected_s = 0.0
        self._durations = _recorded(job, "cuda" if gpus else "cpu")
        self._start = self._at = clock()
        self._known = self.seconds

    def step(self, case: Case, share: float = 0.0) -> None:
        """Take note of a step of a case, with the share of its session or training done."""
        unit = self._units.get(case.name)
        if unit is None or unit.kind not in LONG_KINDS:
            return
        unit.start = self._clock() if unit.start is None else unit.start
        unit.share = max(unit.share, min(share, 1.0))
        self._settle()

    def done(self, record: Record) -> None:
        """Remove a finished case; its duration corrects those that are expected of the others."""
        unit = self._units.pop(record.case, None)
        work = unit.works.pop(record.case) if unit else Work.of(record.kind, record.conditions)
        if record.status == "ok":
            expected = self._durations.estimate(work)
            if expected and record.kind in LONG_KINDS:
                self._ended_s += record.seconds
                self._expected_s += expected
            else:
                self._durations.add(work, record.seconds / self._correction)
        self._settle()

    def _settle(self) -> None:
        """Compute the remaining time anew; from here on the clock counts down."""
        self._at, self._known = self._clock(), self.seconds

    @property
    def _correction(self) -> float:
        """Ratio of the time that the ended cases have taken to what was expected."""
        return (_TRUSTED_S + self._ended_s) / (_TRUSTED_S + self._expected_s)

    def _left(self) -> Iterator[_Unit]:
        return iter({id(unit): unit for unit in self._units.values()}.values())

    @property
    def seconds(self) -> float | None:
        """The remaining time in seconds, as of the last step; None while a kind is unknown."""
        kinds = self.by_kind().values()
        known = [seconds for _, seconds in kinds if seconds is not None]
        return sum(known) if len(known) == len(kinds) else None

    @property
    def sampling_s(self) -> float:
        """The sampling time of the remaining latency sessions in seconds."""
        return sum(unit.sampling_s for unit in self._left())

    def by_kind(self) -> dict[str, tuple[int, float | None]]:
        """Return the number of missing cases of each kind and their seconds; None if unknown."""
        rests: defaultdict[str, list[float | None]] = defaultdict(list)
        counts: defaultdict[str, int] = defaultdict(int)
        for unit in self._left():
            counts[unit.kind] += len(unit.works)
            rests[unit.kind].append(self._rest(unit))
        return {kind: (counts[kind], self._total(kind, rest)) for kind, rest in rests.items()}

    def _total(self, kind: str, rests: Sequence[float | None]) -> float | None:
        known = [rest for rest in rests if rest is not None]
        if len(known) < len(rests):
            return None
        return max(sum(known) / self._parallel, *known) if kind == "accuracy" else sum(known)

    def _rest(self, unit: _Unit) -> float | None:
        """Return the seconds that a session or training still takes."""
        expected = self._expected(unit)
        if unit.start is None:
            return expected
        elapsed, share = self._clock() - unit.start, unit.share
        if expected is None:
            return elapsed * (1 - share) / share if share > _LEAST_SHARE else None
        if share <= _LEAST_SHARE:
            return max(expected - elapsed, 0.0)
        return (1 - share) * (elapsed + (1 - share) * expected)  # what is done sets the speed

    def _expected(self, unit: _Unit) -> float | None:
        """Return the whole duration of a session or training."""
        found = [self._durations.estimate(work) for work in unit.works.values()]
        known = [seconds for seconds in found if seconds is not None]
        if len(known) == len(found):
            return sum(known) * self._correction
        alike = [*self._present()] if unit.kind == "accuracy" else []
        return fmean(alike) if alike else None

    def _present(self) -> Iterator[float]:
        """Yield the durations to which the running trainings come at their present speed."""
        for unit in self._left():
            if unit.kind == "accuracy" and unit.start is not None and unit.share > _LEAST_SHARE:
                yield (self._clock() - unit.start) / unit.share

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    @property
    def remaining_s(self) -> float | None:
        """The remaining time by the clock, 0 once the estimate has passed; None while unknown."""
        return None if self._known is None else max(self._known - (self._clock() - self._at), 0.0)

    @property
    def share(self) -> float | None:
        """The part of the job's time that has passed, below 1; None while it is unknown."""
        if not self._known:
            return None
        return min(self.elapsed_s / (self._at - self._start + self._known), 0.99)

    def __str__(self) -> str:
        """Return ``about 40 s``, or ``longer than the 51 s estimated`` once that has passed.

        While no duration is known, the sampling time is a bound: ``at least 60 s``. Nothing for an
        instant.
        """
        bound = "about" if self._known is not None else "at least"
        known = self.sampling_s if self._known is None else self._known
        if not known or not any(unit.kind in LONG_KINDS for unit in self._left()):
            return ""
        left = known - (self._clock() - self._at)
        if left > 0:
            return f"{bound} {format_duration(left)}"
        passed = format_duration(self._at - self._start + known)
        return f"longer than the {passed} {'of sampling' if self._known is None else 'estimated'}"

    def phrase(self) -> str:
        """Return the text with ``left`` after a remaining time: ``about 40 s left``."""
        text = str(self)
        return f"{text} left" if text and not text.startswith("longer") else text


def _units(job: Job) -> Iterator[_Unit]:
    """Yield what is left to measure, by what is measured together."""
    latencies = [case for case in job.pending if case.kind == "latency"]
    for session in sessions(latencies):
        protocol = job.protocols[session.cases[0].name]
        works = {case.name: Work.of(case.kind, case.to_json()) for case in session.cases}
        yield _Unit("latency", works, protocol.processes * protocol.budget_s)
    for case in job.pending:
        if case.kind != "latency":
            yield _Unit(case.kind, {case.name: Work.of(case.kind, case.to_json())})


def _recorded(job: Job, trained_on: str) -> Durations:
    """Return the durations of the run's own records, scaled to the present speed.

    The probe says nothing of another device than the processor: what ran there is not scaled.
    """
    durations, known = Durations(), job.known
    sampling = dict(_sampling(job))
    for record in known.records.values() if known else ():
        factor = _slowdown(job, known.header_of.get(record.case)) if known else None
        device = _device(record)
        is_evidence = record.kind != "accuracy" or device in ("", trained_on)
        if record.status == "ok" and factor is not None and is_evidence:
            fixed = min(sampling.get(record.case, 0.0), record.seconds)
            scaled = 1.0 if device not in ("", "cpu") else factor
            seconds = fixed + (record.seconds - fixed) * scaled
            durations.add(Work.of(record.kind, record.conditions), seconds)
    return durations


def _device(record: Record) -> str:
    """Return the kind of device that a case ran on, ``cuda``; empty where the record lacks it."""
    known = {"accuracy": record.training, "latency": record.timing_conditions}.get(record.kind)
    return str((known or {}).get("device", "")).partition(":")[0]


def _sampling(job: Job) -> Iterator[tuple[str, float]]:
    """Yield the share of each latency case in the sampling time of its session."""
    for session in sessions(case for case in job.cases if case.kind == "latency"):
        protocol = job.protocols[session.cases[0].name]
        for case in session.cases:
            yield case.name, protocol.processes * protocol.budget_s / len(session.cases)


def _slowdown(job: Job, header: Header | None) -> float | None:
    """Return how much longer a record's work takes now; None if another machine measured it."""
    if header is not None and header.probe_s and job.probe_s:
        return job.probe_s / header.probe_s
    return 1.0 if header is None or header.machine == machine() else None


def format_duration(seconds: float) -> str:
    """Return ``40 s``, ``12 min``, ``1.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
