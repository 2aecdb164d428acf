"""What a latency record's samples say. Statistics are derived when they are read."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from attnbench.stats.latency_ratio import Distribution, RatioEstimate, distribution, estimate
from attnbench.stats.latency_verdict import LatencyRule, LatencyVerdict, judge
from attnbench.stats.timing_samples import AGAIN, TimingSamples

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class LatencyResult:
    """One arm beside its plain network."""

    arm: RatioEstimate
    again: RatioEstimate
    """Of the A/A arm, the plain network's copy."""
    own: Distribution
    """Seconds per call."""
    plain: Distribution
    batch: int
    is_plain: bool
    """Whether the arm is the plain network itself, so that its ratio is the A/A one."""
    sampling_s: float
    dropped: int

    @property
    def throughput(self) -> float:
        """Images per second, by the median."""
        return self.batch / self.own.median


def timing_of(samples: Sequence[Mapping[str, Any]], batch: int) -> LatencyResult | None:
    """Return what the samples of a record say, one object for each process; None without any."""
    processes = [TimingSamples.from_json(one) for one in samples]
    if not processes:
        return None
    first = processes[0]
    others = [name for name in first.seconds if name not in (first.baseline, AGAIN)]
    arm = others[0] if others else AGAIN
    again = estimate([one.only(AGAIN) for one in processes], AGAIN)
    return LatencyResult(
        arm=estimate(processes, arm) if others else again,
        again=again,
        own=distribution(processes, arm if others else first.baseline),
        plain=distribution(processes, first.baseline),
        batch=batch,
        is_plain=not others,
        sampling_s=sum(one.sampling_s for one in processes),
        dropped=sum(one.dropped for one in processes),
    )


def judged(
    timings: Mapping[K, LatencyResult], rule: LatencyRule | None = None
) -> dict[K, LatencyVerdict]:
    """Return the verdict on each of the timings that a table holds, none being looked at alone.

    Plain networks claim nothing, so they do not count among the claims.
    """
    rows = {key: (one.arm, one.again) for key, one in timings.items()}
    claims = {key: row for key, row in rows.items() if not timings[key].is_plain}
    others = {key: row for key, row in rows.items() if timings[key].is_plain}
    return judge(claims, rule) | judge(others, rule)
