"""From rounds to a ratio with an interval: one process, or several as clusters.

An arm is compared, round by round, with both copies of the baseline: with the baseline itself and
with the A/A arm. Either difference of logarithms is centred on the truth; taking them together
costs no time, since both were measured anyway, and takes an eighth off the error.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from attnbench.errors import RequestError
from attnbench.stats.empirical_bayes import StandardError, moderated
from attnbench.stats.hodges_lehmann import Array, LocationEstimate, centre, t_p_value, t_quantile
from attnbench.stats.paired_difference import estimate as estimate_difference
from attnbench.stats.timing_samples import AGAIN, TimingSamples

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class RatioEstimate:
    """An arm's time over the baseline's.

    Attributes:
        ratio: the estimate; above 1 is slower.
        low: lower end of the 95% interval.
        high: upper end.
        p_value: of the ratio being 1, two-sided.
        pairs: rounds in all processes together.
        processes: how many there were.
        freedom: degrees of freedom of the interval's t quantile.
    """

    ratio: float
    low: float
    high: float
    p_value: float
    pairs: int
    processes: int
    freedom: float = math.inf

    @property
    def error(self) -> float:
        """The standard error of the ratio's logarithm that the interval amounts to."""
        return self.half_width / t_quantile(self.freedom)

    @property
    def half_width(self) -> float:
        """Half the width of the interval, relatively: 0.01 where it is 1% either way."""
        if self.low <= 0:
            return math.inf
        return math.log(self.high / self.low) / 2


@dataclass(frozen=True)
class Distribution:
    """An arm's own times, in seconds per call."""

    median: float
    p90: float
    p99: float
    minimum: float


def estimate(processes: Sequence[TimingSamples], arm: str) -> RatioEstimate:
    """Return an arm's time over the baseline's.

    Args:
        processes: the samples of each process. One gives the interval of that process: another
            may lay its memory out otherwise and differ by a percent. Several are clusters.
        arm: its name; :data:`~attnbench.stats.timing_samples.AGAIN` for the A/A arm.

    Raises:
        RequestError: there are no samples, or none of this arm.
    """
    if not processes:
        raise RequestError("an estimate needs the samples of at least one process")
    parts = [samples.only(arm) for samples in processes]
    pairs = sum(samples.rounds for samples in parts)
    if all(samples.baseline == arm for samples in parts):
        return RatioEstimate(1.0, 1.0, 1.0, 1.0, pairs, len(parts))
    centres = [centre(_differences(samples, arm)) for samples in parts]
    if len(centres) == 1:
        found = centres[0]
    else:
        controls = centres
        if arm != AGAIN:
            controls = [centre(_differences(samples, AGAIN)) for samples in parts]
        found = pooled(centres, controls)
    low, high = _exp(found.low), _exp(found.high)
    return RatioEstimate(
        _exp(found.value), low, high, found.p_value, pairs, len(parts), found.freedom
    )


def pooled(
    centres: Sequence[LocationEstimate], controls: Sequence[LocationEstimate]
) -> LocationEstimate:
    """Return the mean over processes, with the interval of a cluster sample.

    The spread between processes (memory layout, hash seed) is what counts, and three processes
    tell little of it: t with 2 degrees of freedom is 4.3 wide. Their A/A arms suffer the same and
    their error is independent of the arm's (which is measured from the mean of both copies), so
    both spreads are pooled; where the arm's own is the greater, that one is taken. The interval
    is never narrower than the rounds within the processes allow.

    Args:
        centres: the arm's, one per process.
        controls: the A/A arm's, in the same order.
    """
    values = np.array([one.value for one in centres])
    count = len(values)
    own = float(np.var(values, ddof=1))
    spread, freedom = own, count - 1
    if controls is not centres:
        other = float(np.var([one.value for one in controls], ddof=1))
        spread, freedom = max(own, (own + other) / 2), 2 * (count - 1)
    between = _spread_interval(values, math.sqrt(spread / count), freedom)
    errors = np.array([one.error for one in centres])
    within = _spread_interval(
        values, math.sqrt(float(np.sum(errors**2))) / count, sum(one.freedom for one in centres)
    )
    return max(between, within, key=lambda found: found.high - found.low)


def distribution(processes: Sequence[TimingSamples], arm: str) -> Distribution:
    """Return the quantiles of an arm's times over all rounds of all processes.

    A figure is the mean of the calls of its sample, so that quantiles of fast arms (many calls
    per sample) are of those means.
    """
    seconds = np.concatenate([samples.only(arm).seconds[arm] for samples in processes])
    median, p90, p99 = (float(one) for one in np.quantile(seconds, [0.5, 0.9, 0.99]))
    return Distribution(median, p90, p99, float(seconds.min()))


def _differences(samples: TimingSamples, arm: str) -> Array:
    """Same-round differences of logarithms: (1, rounds) for the A/A arm, (2, rounds) otherwise."""
    logs = {name: np.log(np.asarray(taken)) for name, taken in samples.seconds.items()}
    if arm == AGAIN:
        return np.asarray([logs[AGAIN] - logs[samples.baseline]])
    # not the difference from their mean: where noise is skewed that is off centre, while each of
    # these is as symmetric as the A/A difference
    return np.asarray([logs[arm] - logs[samples.baseline], logs[arm] - logs[AGAIN]])


def _spread_interval(values: Array, error: float, freedom: float) -> LocationEstimate:
    mean = float(np.mean(values))
    reach = t_quantile(freedom) * error
    p_value = t_p_value(mean / error, freedom) if error else float(mean == 0)
    return LocationEstimate(mean, mean - reach, mean + reach, p_value, freedom)


def _exp(logarithm: float) -> float:
    return math.exp(logarithm) if logarithm < 700 else math.inf


def estimate_pairs(differences: Sequence[float]) -> RatioEstimate:
    """Return the ratio over pairs of processes, each pair one observation.

    Args:
        differences: of the logarithms of two processes' median seconds.
    """
    found = estimate_difference(differences)
    count = len(differences)
    return RatioEstimate(
        math.exp(found.mean), _exp(found.low), _exp(found.high), found.p_value, count, 2 * count
    )


def shrink_ratios(ratios: Mapping[K, RatioEstimate]) -> dict[K, RatioEstimate]:
    """Return the ratios of rows measured alike, their errors shrunk by empirical Bayes."""
    errors = {key: StandardError(ratio.error, ratio.freedom) for key, ratio in ratios.items()}
    return {key: _with_error(ratios[key], error) for key, error in moderated(errors).items()}


def _with_error(ratio: RatioEstimate, error: StandardError) -> RatioEstimate:
    if not 0 < error.error < math.inf:
        return ratio
    value = math.log(ratio.ratio)
    reach = t_quantile(error.freedom) * error.error
    return replace(
        ratio,
        low=_exp(value - reach),
        high=_exp(value + reach),
        p_value=t_p_value(value / error.error, error.freedom),
        freedom=error.freedom,
    )
