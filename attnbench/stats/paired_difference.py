"""Mean of paired differences with a confidence interval by Student's t.

A value is the top-1 accuracy of an arm less that of the plain backbone, in points, both trained
from the same seed. The seeds are the sample; the test images are the same for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from attnbench.errors import RequestError
from attnbench.stats.hodges_lehmann import Array, t_p_value, t_quantile

_ROUNDING = 1e-9
"""Tolerance in points for the rounding of equal differences of percentages."""


@dataclass(frozen=True)
class DifferenceEstimate:
    """The mean of paired differences.

    Attributes:
        mean: their mean, in the unit of the values (points of accuracy).
        low: lower end of the 95% interval; minus infinity where the values do not bound it.
        high: upper end; infinity where the values do not bound it.
        sd: standard deviation of a single difference, ``ddof`` 1; NaN for a single value.
        count: number of differences (seeds).
        p_value: two-sided p-value of the true mean being the null.
        anytime: interval and p-value hold at any stopping time, not at a fixed number of seeds.
    """

    mean: float
    low: float
    high: float
    sd: float
    count: int
    p_value: float
    anytime: bool = False


def estimate(
    values: Sequence[float], null: float = 0.0, *, resolution: float = 0.0
) -> DifferenceEstimate:
    """Return the mean of paired differences with Student's t interval.

    The interval is exact for normal differences and close for other symmetric ones; for few values
    of a skewed distribution its coverage is below 95%, as simulated in
    ``tests/stats/test_paired_coverage.py``.

    Values that are all equal have no spread to estimate. Where they all equal the null (an arm
    with the same output as the plain one) the interval is that point and p is 1: no difference
    was measured. (Three seeds that differ by much less than a step can give this by chance.)
    Where they all differ from the null by the same amount, the standard deviation is that of
    rounding to a step, step / sqrt(12), with the given step or else the largest possible one: the
    amount itself.

    Args:
        values: one difference per seed.
        null: the mean that ``p_value`` tests.
        resolution: the step of a value, 100 / N points for N test images. Its rounding error is
            the lower bound of the spread. 0 disables the bound.

    Raises:
        RequestError: there is no value, or one that is not finite.
    """
    array = _checked(values)
    count, mean = len(array), float(np.mean(array))
    if count == 1:
        return DifferenceEstimate(mean, -math.inf, math.inf, math.nan, 1, 1.0)
    if np.all(np.abs(array - null) <= _ROUNDING):
        return DifferenceEstimate(null, null, null, 0.0, count, 1.0)
    spread = float(np.std(array, ddof=1)) if np.ptp(array) > _ROUNDING else 0.0
    sd = max(spread, resolution / math.sqrt(12))
    if sd == 0:
        sd = abs(mean - null) / math.sqrt(12)
    error = sd / math.sqrt(count)
    reach = t_quantile(count - 1) * error
    p_value = t_p_value((mean - null) / error, count - 1)
    return DifferenceEstimate(mean, mean - reach, mean + reach, sd, count, p_value)


def _checked(values: Sequence[float]) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise RequestError(f"paired differences are not (seeds,): got shape {array.shape}")
    if not np.isfinite(array).all():
        where = int(np.flatnonzero(~np.isfinite(array))[0])
        raise RequestError(
            f"paired difference {where} is {array[where]}. Omit the seed, or train it again"
        )
    return array


def beyond(found: DifferenceEstimate, allowed: float) -> DifferenceEstimate:
    """Return a difference with the p-value of its true size being at most ``allowed``."""
    if not allowed or found.count < 2:
        return found
    past = abs(found.mean) - allowed
    if past <= 0 or not found.sd > 0:
        return replace(found, p_value=1.0)
    error = found.sd / math.sqrt(found.count)
    return replace(found, p_value=t_p_value(past / error, found.count - 1))
