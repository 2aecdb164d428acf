"""Latency ratios with confidence intervals: from one process, or from several as clusters.

An arm is compared, round by round, with both copies of the baseline: with the baseline itself and
with the A/A arm. Each difference of logarithms is centered on the true value; combining them costs
no time, since both are measured anyway, and reduces the error by an eighth.
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
    """The ratio of an arm's time to the baseline's.

    Attributes:
        ratio: the estimate; above 1 is slower.
        low: lower end of the 95% interval.
        high: upper end.
        p_value: two-sided p-value of a ratio of 1.
        pairs: total number of rounds in all processes.
        processes: number of processes.
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
        """The standard error of the ratio's logarithm that corresponds to the interval."""
        return self.half_width / t_quantile(self.freedom)

    @property
    def half_width(self) -> float:
        """The relative half-width of the interval: 0.01 where it is 1% either way."""
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
    """Return the ratio of an arm's time to the baseline's.

    Args:
        processes: the samples of each process. One process gives the interval of that process:
            another may have a different memory layout and differ by a percent. Several processes
            are clusters.
        arm: name of the arm; :data:`~attnbench.stats.timing_samples.AGAIN` for the A/A arm.

    Raises:
        RequestError: there are no samples, or none of this arm.
    """
    if not processes:
        raise RequestError("an estimate needs the samples of at least one process")
    parts = [samples.only(arm) for samples in processes]
    pairs = sum(samples.rounds for samples in parts)
    if all(samples.baseline == arm for samples in parts):
        return RatioEstimate(1.0, 1.0, 1.0, 1.0, pairs, len(parts))
    centers = [centre(_differences(samples, arm)) for samples in parts]
    if len(centers) == 1:
        location = centers[0]
    else:
        controls = centers
        if arm != AGAIN:
            controls = [centre(_differences(samples, AGAIN)) for samples in parts]
        location = pooled(centers, controls)
    low, high = _exp(location.low), _exp(location.high)
    return RatioEstimate(
        _exp(location.value), low, high, location.p_value, pairs, len(parts), location.freedom
    )


def pooled(
    centres: Sequence[LocationEstimate], controls: Sequence[LocationEstimate]
) -> LocationEstimate:
    """Return the mean over processes, with the interval of a cluster sample.

    The spread between processes (memory layout, hash seed) dominates, and three processes estimate
    it poorly: the t quantile with 2 degrees of freedom is 4.3. Their A/A arms have the same spread,
    and their error is independent of the arm's (which is measured from the mean of both copies), so
    both spreads are pooled; where the arm's own is greater, it is used. The interval is never
    narrower than the rounds within the processes allow.

    Args:
        centres: the locations of the arm, one per process.
        controls: the locations of the A/A arm, in the same order.
    """
    values = np.array([location.value for location in centres])
    count = len(values)
    own = float(np.var(values, ddof=1))
    spread, freedom = own, count - 1
    if controls is not centres:
        other = float(np.var([control.value for control in controls], ddof=1))
        spread, freedom = max(own, (own + other) / 2), 2 * (count - 1)
    between = _spread_interval(values, math.sqrt(spread / count), freedom)
    errors = np.array([location.error for location in centres])
    error = math.sqrt(float(np.sum(errors**2))) / count
    within = _spread_interval(values, error, sum(location.freedom for location in centres))
    return max(between, within, key=lambda interval: interval.high - interval.low)


def distribution(processes: Sequence[TimingSamples], arm: str) -> Distribution:
    """Return the quantiles of an arm's times over all rounds of all processes.

    A figure is the mean over the calls of its sample, so that the quantiles of fast arms (many
    calls per sample) are quantiles of those means.
    """
    seconds = np.concatenate([samples.only(arm).seconds[arm] for samples in processes])
    median, p90, p99 = (float(value) for value in np.quantile(seconds, [0.5, 0.9, 0.99]))
    return Distribution(median, p90, p99, float(seconds.min()))


def _differences(samples: TimingSamples, arm: str) -> Array:
    """Return same-round log differences: (1, rounds) for the A/A arm, (2, rounds) otherwise."""
    logs = {name: np.log(np.asarray(taken)) for name, taken in samples.seconds.items()}
    if arm == AGAIN:
        return np.asarray([logs[AGAIN] - logs[samples.baseline]])
    # not the difference from their mean: with skewed noise that is off-center, while each of these
    # is as symmetric as the A/A difference
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
        differences: differences of the logarithms of two processes' median seconds.
    """
    mean = estimate_difference(differences)
    count = len(differences)
    return RatioEstimate(
        math.exp(mean.mean), _exp(mean.low), _exp(mean.high), mean.p_value, count, 2 * count
    )


def shrink_ratios(ratios: Mapping[K, RatioEstimate]) -> dict[K, RatioEstimate]:
    """Return the ratios of rows with similar noise, their errors moderated by empirical Bayes."""
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
