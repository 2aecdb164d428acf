"""Remaining duration of a job, from the durations of cases that were measured before."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean

from attnbench.records.format import Record
from attnbench.runner.job import Job
from attnbench.runner.latency_sessions import sessions
from attnbench.suites.case import Case
from attnbench.timing.isolation import allowed_cores
from attnbench.workers.pool import local_gpus
from attnbench.workers.process import Limits, share_memory

_EVIDENCE = {"cost": 3}
"""Number of measured cases from which a duration is known, if not 1: the first count of a process
includes its start and takes a hundred times as long as the next."""


class TimeLeft:
    """Remaining time of a job: per kind, the number of cases times their mean duration.

    Trainings run one on each GPU, without any one on each core; those on the other kind of device
    are no evidence.

    Args:
        job: the job at its start; the records that its folder already has count as measured.
    """

    def __init__(self, job: Job) -> None:
        self._missing = {case.name: case for case in job.pending}
        self._protocols = job.protocols
        trainings = _count(self._missing.values())["accuracy"]
        gpus = len(local_gpus()) if trainings else 0
        self._trained_on = "cuda" if gpus else "cpu"
        limits = Limits(memory_bytes=job.memory_bytes)
        self._parallel, _ = share_memory(limits, min(trainings, gpus or len(allowed_cores())))
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        for record in job.known.records.values() if job.known else ():
            self._add(record)

    def done(self, record: Record) -> None:
        """Remove a finished case and add its duration to those of its kind."""
        self._missing.pop(record.case, None)
        self._add(record)

    def _add(self, record: Record) -> None:
        if record.status == "ok" and self._is_evidence(record):
            self._seconds[record.kind].append(record.seconds)

    def _is_evidence(self, record: Record) -> bool:
        """Return whether a duration is that of this machine: a GPU trains as no processor does."""
        device = (record.training or {}).get("device", self._trained_on)
        return str(device).partition(":")[0] == self._trained_on

    @property
    def seconds(self) -> float | None:
        """Return the remaining time in seconds; None while a kind has too few measured cases."""
        counts = _count(self._missing.values())
        if any(len(self._seconds[kind]) < _EVIDENCE.get(kind, 1) for kind in counts):
            return None
        parallel = {"accuracy": self._parallel}
        return sum(
            count * _mean(self._seconds[kind]) / parallel.get(kind, 1)
            for kind, count in counts.items()
        )

    @property
    def sampling_s(self) -> float:
        """Return the sampling time of the remaining latency sessions in seconds."""
        latencies = [case for case in self._missing.values() if case.kind == "latency"]
        protocols = [self._protocols[found.cases[0].name] for found in sessions(latencies)]
        return sum(protocol.processes * protocol.budget_s for protocol in protocols)

    def __str__(self) -> str:
        """Return ``about 12 min``, ``at least 3 min``, or nothing while no duration is known."""
        if all(case.kind == "cost" for case in self._missing.values()):
            return ""  # an instant
        if self.seconds is not None:
            return f"about {format_duration(self.seconds)}"
        return f"at least {format_duration(self.sampling_s)}" if self.sampling_s else ""


def _mean(seconds: Sequence[float]) -> float:
    """Return the mean; of three or more durations, the longest is left out."""
    kept = sorted(seconds)
    return fmean(kept[:-1] if len(kept) > 2 else kept)


def _count(cases: Iterable[Case]) -> Counter[str]:
    return Counter(case.kind for case in cases)


def format_duration(seconds: float) -> str:
    """Return ``40 s``, ``12 min``, ``1.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
