"""Estimated duration of a job: a rough prior, refined as cases finish."""

from __future__ import annotations

from collections import defaultdict

from attnbench.measure.accuracy import Effort
from attnbench.records.format import Record
from attnbench.runner.latency_sessions import Session, sessions
from attnbench.runner.run_suite import Job
from attnbench.timing.isolation import allowed_cores

_COUNT_S = 0.15
_START_S = 4.0
"""Start-up time of a fresh process: the imports of torch and of a runtime."""
_WARM_UP = 1.3
"""Ratio of the sampling time with warm-up to the sampling time."""
_PROOF_S = {
    "eager": 3.5,
    "eager-channels-last": 2.0,
    "compile": 14.0,
    "onnxruntime": 6.0,
    "openvino": 5.0,
    "executorch": 15.0,
}
_LOAD_S = {"compile": 3.0}
_SOME_RUNTIME_S = 10.0
_ALONE = 0.15
"""Export time of a module alone, as a fraction of that of a whole network."""
_TRAINED_BYTES = 2.7e9
"""Training throughput of one core, in unfused bytes of the forward pass per second: 2.2 to 3.0 GB
were measured for MobileNetV2 at widths 0.35 and 1.0 on 12 and 24 pixels."""
_TESTED_BYTES = 4 * _TRAINED_BYTES
_QUANTIZED_S = 20.0


def seconds_of(job: Job) -> float:
    """Return the estimated duration, in seconds, of a job's missing cases on an ordinary laptop."""
    return sum(_estimates(job).values())


class TimeLeft:
    """Remaining time of a job, corrected by the measured durations of its finished cases.

    Args:
        job: the job at its start.
    """

    def __init__(self, job: Job) -> None:
        self._left = _estimates(job)
        self._kinds = {case.name: case.kind for case in job.missing}
        self._side_by_side = _side_by_side(job)
        self._estimated: defaultdict[str, float] = defaultdict(float)
        self._taken: defaultdict[str, float] = defaultdict(float)

    def done(self, record: Record) -> None:
        """Remove a finished case and update the correction by its duration."""
        kind = self._kinds.get(record.case, "")
        estimate = self._left.pop(record.case, 0.0)
        if record.status == "ok":
            shared = self._side_by_side if kind == "accuracy" else 1
            self._estimated[kind] += estimate
            self._taken[kind] += record.seconds / shared

    @property
    def seconds(self) -> float:
        """Return the estimated remaining time in seconds."""
        return sum(
            estimate * self._ratio(self._kinds.get(name, ""))
            for name, estimate in self._left.items()
        )

    def _ratio(self, kind: str) -> float:
        estimated = self._estimated[kind]
        return self._taken[kind] / estimated if estimated > 0 else 1.0


def training_s(effort: Effort, int8: bool) -> float:
    """Return the estimated duration, in seconds, of one training on one core."""
    trained = effort.images * effort.bytes / _TRAINED_BYTES
    tested = effort.test_images * effort.bytes / _TESTED_BYTES
    return trained + tested + (_QUANTIZED_S if int8 else 0.0)


def _estimates(job: Job) -> dict[str, float]:
    """Return the estimated seconds of each missing case, as its share of a session or pool."""
    missing = [case for case in job.missing if case.name not in job.skipped]
    found = {case.name: _COUNT_S for case in missing if case.kind == "cost"}
    for session in sessions(case for case in missing if case.kind == "latency"):
        share = _session_s(session, job) / len(session.cases)
        found |= {case.name: share for case in session.cases}
    for case in missing:
        if case.kind == "accuracy" and case.name in job.efforts:
            int8 = case.training is not None and case.training.int8
            found[case.name] = training_s(job.efforts[case.name], int8) / _side_by_side(job)
    return found


def _side_by_side(job: Job) -> int:
    trainings = sum(case.kind == "accuracy" for case in job.missing)
    return max(1, min(trainings, len(allowed_cores())))


def _session_s(session: Session, job: Job) -> float:
    protocol = job.protocols[session.cases[0].name]
    runtime, arms = session.conditions.runtime, len(session.arms) + 1
    share = _ALONE if session.plain.backbone is None else 1.0
    proofs = arms * share * _PROOF_S.get(runtime, _SOME_RUNTIME_S)
    loads = _START_S + (arms + 1) * share * _LOAD_S.get(runtime, 0.5)
    side_by_side = min(2, len(allowed_cores()))
    sampling = protocol.processes * (loads + _WARM_UP * protocol.budget_s)
    return proofs / side_by_side + sampling


def format_duration(seconds: float) -> str:
    """Return ``about 40 s``, ``about 12 min``, ``about 1.5 h``."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"
