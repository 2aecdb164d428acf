"""Latency ratios with confidence intervals: from one process, or from several as clusters.

An arm is compared, round by round, with both copies of the baseline: with the baseline itself and
with the A/A arm. Each difference of logarithms is centered on the true value; combining them costs
no time, since both are measured anyway, and reduces the error by an eighth.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

import numpy as np

from attnbench.errors import RequestError
from attnbench.stats.empirical_bayes import FEWEST, StandardError, moderate
from attnbench.stats.hodges_lehmann import (
    Array,
    LocationEstimate,
    center,
    location,
    t_p_value,
    t_quantile,
)
from attnbench.stats.paired_difference import estimate as estimate_difference
from attnbench.stats.timing_samples import AGAIN, TimingSamples

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class RatioEstimate:
    """The ratio of an arm's time to the baseline's.

    Attributes:
        ratio: the estimate; above 1 is slower.
        low: lower end of the 95% interval.
        p_value: two-sided p-value of a ratio of 1.
        pairs: total number of rounds in all processes.
        freedom: degrees of freedom of the interval's t quantile.
        centers: the logarithm of the ratio in each process; empty for pairs of processes.
    """

    ratio: float
    low: float
    high: float
    p_value: float
    pairs: int
    processes: int
    freedom: float = math.inf
    centers: tuple[float, ...] = ()

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
class RatioShift:
    """The change of a ratio between two runs, as a logarithm.

    Attributes:
        value: the estimate; above 0 is slower.
        error: its standard error.
        freedom: degrees of freedom, by the Welch-Satterthwaite formula.
    """

    value: float
    error: float
    freedom: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the change, as fractions."""
        reach = t_quantile(self.freedom) * self.error
        return math.expm1(self.value - reach), math.expm1(self.value + reach)

    def beyond(self, effect: float) -> float:
        """Return the p-value of the true shift being at most ``effect`` in either direction."""
        past = abs(self.value) - math.log1p(effect)
        if past <= 0:
            return 1.0
        return t_p_value(past / self.error, self.freedom) if self.error else 0.0

    def detectable(self, effect: float, level: float, power: float) -> float:
        """Return the slowdown beyond ``effect`` that a one-sided test detects with this power."""
        tails = t_quantile(self.freedom, 1 - level) + t_quantile(self.freedom, power)
        reach = tails * self.error
        return math.expm1(math.log1p(effect) + reach) if reach < 700 else math.inf


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
            are clusters; three or more need no estimate of the noise within them, which is part of
            their spread. :func:`shrink_session` moderates it over arms that were timed together.
        arm: name of the arm; :data:`~attnbench.stats.timing_samples.AGAIN` for the A/A arm.

    Raises:
        RequestError: there are no samples, or none of this arm.
    """
    if not processes:
        raise RequestError("an estimate needs the samples of at least one process")
    pairs, count = sum(len(samples.row(arm)) for samples in processes), len(processes)
    if all(samples.baseline == arm for samples in processes):
        return RatioEstimate(1.0, 1.0, 1.0, 1.0, pairs, count)
    centers = tuple(_location(samples, arm) for samples in processes)
    found = _pooled(processes, arm, centers)
    ratio, low, high = map(_exp, (found.value, found.low, found.high))
    return RatioEstimate(ratio, low, high, found.p_value, pairs, count, found.freedom, centers)


def _pooled(parts: Sequence[TimingSamples], arm: str, centers: Sequence[float]) -> LocationEstimate:
    if len(parts) > 2:
        return _between(parts, arm, centers)
    within = [center(_differences(samples, arm)) for samples in parts]
    if len(parts) == 1:
        return within[0]
    # two processes may agree by chance; they are no more certain than their rounds
    error = math.hypot(*(found.error for found in within)) / 2
    rounds = _spread_interval(centers, error, sum(found.freedom for found in within))
    between = _between(parts, arm, centers)
    return max(between, rounds, key=lambda interval: interval.high - interval.low)


def _between(
    parts: Sequence[TimingSamples], arm: str, centers: Sequence[float]
) -> LocationEstimate:
    """Return the mean over processes, with the interval of a cluster sample.

    Three processes estimate their spread poorly: the t quantile with 2 degrees of freedom is 4.3.
    Their A/A arms mostly have the same spread, and their error is independent of the arm's (which
    is measured from the mean of both copies), so both spreads are pooled; where the arm's own is
    greater, it is used.
    """
    count = len(centers)
    own = _variance(centers)
    spread, freedom = own, count - 1
    if arm != AGAIN:
        controls = [_location(samples, AGAIN) for samples in parts]
        other = _variance(controls)
        spread, freedom = max(own, (own + other) / 2), 2 * (count - 1)
    return _spread_interval(centers, math.sqrt(spread / count), freedom)


def distribution(processes: Sequence[TimingSamples], arm: str) -> Distribution:
    """Return the quantiles of an arm's times over all rounds of all processes.

    A figure is the mean over the calls of its sample, so that the quantiles of fast arms (many
    calls per sample) are quantiles of those means.
    """
    return _distribution(tuple(samples.row(arm) for samples in processes))


# what the arms of a session have in common, the plain network and its copy, is computed once
@lru_cache(maxsize=32)
def _distribution(rows: tuple[tuple[float, ...], ...]) -> Distribution:
    seconds = np.sort(np.concatenate(rows))
    median, p90, p99 = (_quantile(seconds, share) for share in (0.5, 0.9, 0.99))
    return Distribution(median, p90, p99, float(seconds[0]))


def _quantile(ordered: Array, share: float) -> float:
    """Return a linearly interpolated quantile, as ``numpy.quantile`` without its overhead."""
    place = share * (len(ordered) - 1)
    below = int(place)
    low, high = float(ordered[below]), float(ordered[min(below + 1, len(ordered) - 1)])
    part, step = place - below, high - low
    return low + step * part if part < 0.5 else high - step * (1 - part)


def _location(samples: TimingSamples, arm: str) -> float:
    """Return the location of a process's log differences."""
    if arm == AGAIN:
        return _copy_location(samples.row(samples.baseline), samples.row(AGAIN))
    return location(_differences(samples, arm))


@lru_cache(maxsize=32)
def _copy_location(baseline: tuple[float, ...], again: tuple[float, ...]) -> float:
    return location(np.asarray([_logs(again) - _logs(baseline)]))


def _differences(samples: TimingSamples, arm: str) -> Array:
    """Return same-round log differences: (1, rounds) for the A/A arm, (2, rounds) otherwise."""
    own, baseline, again = (_logs(samples.row(name)) for name in (arm, samples.baseline, AGAIN))
    if arm == AGAIN:
        return np.asarray([again - baseline])
    # not the difference from their mean: with skewed noise that is off-center, while each of these
    # is as symmetric as the A/A difference
    return np.asarray([own - baseline, own - again])


@lru_cache(maxsize=32)
def _logs(seconds: tuple[float, ...]) -> Array:
    logs: Array = np.log(np.asarray(seconds))
    return logs


def _variance(values: Sequence[float]) -> float:
    """Return the sample variance of a few values, without numpy's overhead."""
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _spread_interval(values: Sequence[float], error: float, freedom: float) -> LocationEstimate:
    mean = sum(values) / len(values)
    reach = t_quantile(freedom) * error
    p_value = t_p_value(mean / error, freedom) if error else float(mean == 0)
    return LocationEstimate(mean, mean - reach, mean + reach, p_value, freedom)


def _exp(logarithm: float) -> float:
    return math.exp(logarithm) if logarithm < 700 else math.inf


def estimate_pairs(differences: Sequence[float]) -> RatioEstimate:
    """Return the ratio over pairs of processes, from differences of their log median seconds."""
    mean = estimate_difference(differences)
    count = len(differences)
    return RatioEstimate(
        math.exp(mean.mean), _exp(mean.low), _exp(mean.high), mean.p_value, count, 2 * count
    )


def shrink_ratios(ratios: Mapping[K, RatioEstimate]) -> dict[K, RatioEstimate]:
    """Return the ratios of rows with similar noise, their errors moderated by empirical Bayes."""
    errors = {key: StandardError(ratio.error, ratio.freedom) for key, ratio in ratios.items()}
    return {key: _with_error(ratios[key], error) for key, error in moderate(errors).items()}


def shrink_session(ratios: Mapping[K, RatioEstimate]) -> dict[K, RatioEstimate]:
    """Return the ratios of arms that were timed together, their errors moderated alike.

    The spread of each arm's three or more processes is moderated by the spreads of the others: an
    error is raised where it is small by chance, and its degrees of freedom are those of all arms,
    as far as they do not share their plain network's noise. Fewer than 4 arms, or arms of one or
    two processes, are unchanged.

    Args:
        ratios: the estimates of :func:`estimate` for the arms of one session, without the baseline
            and its copy.
    """
    counts = {len(ratio.centers) for ratio in ratios.values()}
    if len(ratios) < FEWEST or len(counts) > 1 or counts.pop() < 3:
        return dict(ratios)
    return _shrunk(ratios)


def _shrunk(rows: Mapping[K, RatioEstimate]) -> dict[K, RatioEstimate]:
    """Return the rows with moderated errors; all have the same number of processes."""
    centers = np.array([row.centers for row in rows.values()])
    own = centers.shape[1] - 1
    errors = np.std(centers, axis=1, ddof=1) / math.sqrt(own + 1)
    spreads = {
        key: StandardError(float(error), own) for key, error in zip(rows, errors, strict=True)
    }
    most = _common_freedom(centers) - own
    found = moderate(spreads, most) if most > 0 else spreads
    return {key: _with_error(rows[key], error) for key, error in found.items()}


def _common_freedom(centers: Array) -> float:
    """Return the degrees of freedom of the mean of the rows' variances between processes.

    Rows that are compared with the same plain network share its part of the variance, which has
    the freedom of one row. The share is the intraclass correlation of the rows, and at least 1/3:
    what both copies of the plain network contribute if all networks vary equally. The freedom is by
    the Welch-Satterthwaite formula, with the correlation's root in place of its square to allow for
    the error of its estimate.

    Args:
        centers: (rows, processes).
    """
    rows, own = centers.shape[0], centers.shape[1] - 1
    deviations = centers - centers.mean(axis=1, keepdims=True)
    sizes = np.sqrt(np.sum(deviations**2, axis=1, keepdims=True) / own)
    scaled = np.divide(deviations, sizes, out=np.zeros_like(deviations), where=sizes > 0)
    mean_square = float(np.sum(np.mean(scaled, axis=0) ** 2)) / own
    shared = max((rows * mean_square - 1) / (rows - 1), 1 / 9)
    # 3 rows less, because two moments are fitted: by simulation, 4 to 6 rows then cover 95%
    return float(1 / (shared / own + (1 - math.sqrt(shared)) ** 2 / ((rows - 3) * own)))


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


def estimate_shift(base: RatioEstimate, new: RatioEstimate) -> RatioShift:
    """Return the shift of an arm's time ratio to the plain network between two runs."""
    variances = base.error**2, new.error**2
    total = sum(variances)
    if not 0 < total < math.inf:
        freedom = 1.0
    else:
        parts = zip(variances, (base.freedom, new.freedom), strict=True)
        freedom = total**2 / sum(variance**2 / own for variance, own in parts)
    return RatioShift(math.log(new.ratio / base.ratio), math.sqrt(total), freedom)


def shrink_shifts(shifts: Mapping[K, RatioShift]) -> dict[K, RatioShift]:
    """Return the shifts of rows with similar noise, their errors moderated by empirical Bayes."""
    errors = {key: StandardError(shift.error, shift.freedom) for key, shift in shifts.items()}
    return {
        key: replace(shifts[key], error=error.error, freedom=error.freedom)
        for key, error in moderate(errors).items()
    }
