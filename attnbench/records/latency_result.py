"""Statistics of a latency record's samples, computed when the record is read."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from attnbench.stats.latency_ratio import (
    Distribution,
    RatioEstimate,
    distribution,
    estimate,
    shrink_session,
)
from attnbench.stats.timing_samples import AGAIN, TimingSamples
from attnbench.stats.verdict import LatencyRule, Verdict, judge_latency

K = TypeVar("K", bound=Hashable)

_SIGNATURE = 5
"""Number of rounds whose seconds identify a process: with 5 digits each, no other has them."""


@dataclass(frozen=True)
class LatencyResult:
    """The latency of one arm in comparison with its plain network."""

    arm: RatioEstimate
    again: RatioEstimate
    """Ratio of the A/A arm, the copy of the plain network."""
    own: Distribution
    """Distribution of the seconds per call."""
    plain: Distribution
    batch: int
    is_plain: bool
    """Flag of an arm that is the plain network itself, so that its ratio is the A/A ratio."""
    sampling_s: float
    dropped: int
    session: Hashable = None
    """The first seconds of the plain network in each process: equal for all arms of a session."""

    @property
    def throughput(self) -> float:
        """The images per second, by the median."""
        return self.batch / self.own.median


def timing_of(samples: Sequence[Mapping[str, Any]], batch: int) -> LatencyResult | None:
    """Return the result of a record's samples, one object for each process; None without any."""
    processes = [TimingSamples.from_json(process) for process in samples]
    if not processes:
        return None
    first = processes[0]
    others = [name for name in first.seconds if name not in (first.baseline, AGAIN)]
    arm = others[0] if others else AGAIN
    again = estimate(processes, AGAIN)
    return LatencyResult(
        arm=estimate(processes, arm) if others else again,
        again=again,
        own=distribution(processes, arm if others else first.baseline),
        plain=distribution(processes, first.baseline),
        batch=batch,
        is_plain=not others,
        sampling_s=sum(process.sampling_s for process in processes),
        dropped=sum(process.dropped for process in processes),
        session=tuple(process.seconds[process.baseline][:_SIGNATURE] for process in processes),
    )


def pool_sessions(timings: Mapping[K, LatencyResult]) -> dict[K, LatencyResult]:
    """Return the timings with errors moderated over the arms that were timed together."""
    sessions: dict[Hashable, dict[K, RatioEstimate]] = {}
    for key, timing in timings.items():
        if not timing.is_plain:
            sessions.setdefault(timing.session, {})[key] = timing.arm
    shrunk = {key: arm for rows in sessions.values() for key, arm in shrink_session(rows).items()}
    return {
        key: replace(timing, arm=shrunk[key]) if key in shrunk else timing
        for key, timing in timings.items()
    }


def judge_timings(
    timings: Mapping[K, LatencyResult], rule: LatencyRule | None = None
) -> dict[K, Verdict]:
    """Return the verdicts on the timings of a table, judged jointly for multiple comparisons.

    Plain networks are no claims, so they are judged separately.
    """
    rows = {key: (timing.arm, timing.again) for key, timing in timings.items()}
    claims = {key: row for key, row in rows.items() if not timings[key].is_plain}
    others = {key: row for key, row in rows.items() if timings[key].is_plain}
    return judge_latency(claims, rule) | judge_latency(others, rule)
