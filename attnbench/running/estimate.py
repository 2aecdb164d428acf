"""How long a job will take, roughly, said before it starts."""

from __future__ import annotations

from attnbench.running.runner import Job
from attnbench.running.sessions import Session, sessions
from attnbench.timing.quiet import allowed_cores

_COUNT_S = 0.15
_START_S = 4.0
"""Of a fresh process: importing torch and what a runtime needs."""
_WARM_UP = 1.3
"""Sampling with its warm-up, over sampling."""
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
"""A module alone, as a part of what a whole network takes to export."""


def seconds_of(job: Job) -> float:
    """Return the seconds that the missing cases of a job may take on an ordinary laptop."""
    missing = [case for case in job.missing if case.name not in job.skipped]
    counted = _COUNT_S * sum(case.kind == "cost" for case in missing)
    timed = sessions(case for case in missing if case.kind == "latency")
    return counted + sum(_session_s(one, job) for one in timed)


def _session_s(session: Session, job: Job) -> float:
    protocol = job.protocols[session.cases[0].name]
    runtime, arms = session.conditions.runtime, len(session.arms) + 1
    share = _ALONE if session.plain.backbone is None else 1.0
    proofs = arms * share * _PROOF_S.get(runtime, _SOME_RUNTIME_S)
    loads = _START_S + (arms + 1) * share * _LOAD_S.get(runtime, 0.5)
    side_by_side = min(2, len(allowed_cores()))
    sampling = protocol.processes * (loads + _WARM_UP * protocol.budget_s)
    return proofs / side_by_side + sampling


def spoken(seconds: float) -> str:
    """Return ``about 40 s``, ``about 12 min``, ``about 1.5 h``."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"
