"""The Hodges-Lehmann estimate of paired differences, with an interval for autocorrelated rounds.

The Hodges-Lehmann estimate is the median of the means of all pairs of differences. It is hardly
less efficient than the mean for normal noise and robust against outliers. Its confidence interval
inverts the signed-rank test, whose statistic is a mean of the rounds' ranks; the variance of that
mean is widened by the autocorrelation of the ranks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]

_ALL_PAIRS = 300
"""Number of rounds up to which all pairs are formed; beyond, each round has as many partners."""


@dataclass(frozen=True)
class LocationEstimate:
    """An estimate of the location of differences.

    Attributes:
        low: lower end of the 95% interval; minus infinity with fewer than 3 rounds.
        p_value: two-sided p-value of a location of 0.
        freedom: degrees of freedom of the interval's t quantile.
    """

    value: float
    low: float
    high: float
    p_value: float
    freedom: float

    @property
    def error(self) -> float:
        """The standard error that corresponds to the interval."""
        return (self.high - self.low) / (2 * t_quantile(self.freedom))


def center(differences: Array) -> LocationEstimate:
    """Return the common location of one or more rows of differences.

    Args:
        differences: (rows, rounds); the rows are measured in the same rounds, and their
            deviations are averaged before their variance is estimated.
    """
    rounds = differences.shape[1]
    first, second = _pairs(rounds)
    means = np.sort(((differences[:, first] + differences[:, second]) / 2).ravel())
    if rounds < 3:
        return LocationEstimate(_quantile(means, 0.5), -math.inf, math.inf, 1.0, 1.0)
    variance, freedom = mean_variance(np.mean([_ranks(row) for row in differences], axis=0))
    # a share of the pairwise means is twice a mean of ranks, to first order
    spread = 2 * math.sqrt(variance)
    reach = t_quantile(freedom) * spread
    value, low, high = _quantile(means, 0.5), _bound(means, -reach), _bound(means, reach)
    return LocationEstimate(value, low, high, _p_value(value, low, high, freedom), freedom)


def t_quantile(freedom: float, share: float = 0.975) -> float:
    """Return a quantile of Student's t distribution."""
    # as scipy.stats.t.ppf, without its 0.1 ms of overhead
    return float(special.stdtrit(freedom, share))


def t_p_value(statistic: float, freedom: float) -> float:
    """Return the two-sided p-value of a t statistic."""
    return float(2 * special.stdtr(freedom, -abs(statistic)))


def _ranks(row: Array) -> Array:
    """Return the share of values below each value, less a half; ties have their mean rank."""
    ordered = np.sort(row)
    below = np.searchsorted(ordered, row, "left") + np.searchsorted(ordered, row, "right")
    return np.asarray(below / (2 * len(row)) - 0.5)


def _p_value(value: float, low: float, high: float, freedom: float) -> float:
    """Return the p-value of 0 that the interval implies: below 5% exactly where it excludes 0."""
    toward = value - low if value > 0 else high - value
    if toward <= 0:  # all differences equal: p is 1 if they are 0, else 0
        return float(value == 0)
    return t_p_value(t_quantile(freedom) * value / toward, freedom)


def mean_variance(deviations: Array, *, caution: float = 0.5) -> tuple[float, float]:
    """Return the variance of the mean of an autocorrelated series, and its degrees of freedom.

    The series has mean 0 and is modeled as autoregressive of order 1. Its estimated correlation is
    corrected for the bias of short series (Kendall 1954) and raised by ``caution`` standard
    errors, because an interval that is too narrow ends the sampling; a negative correlation is
    set to 0.

    Args:
        deviations: (rounds,).
        caution: number of standard errors, chosen by simulation: with 0, the coverage of intervals
            of 15 rounds of correlation 0.7 is 92.6%, with 0.5 it is 95.2%.
    """
    rounds = len(deviations)
    power = float(np.mean(deviations**2))
    if power == 0:  # all differences equal
        return 0.0, float(max(rounds - 1, 1))
    lagged = float(np.sum(deviations[1:] * deviations[:-1])) / (power * rounds)
    unbiased = lagged + (1 + 3 * lagged) / rounds
    error = math.sqrt(max(1 - unbiased**2, 0.05) / rounds)
    correlation = min(max(unbiased + caution * error, 0.0), 0.95)
    inflation = (1 + correlation) / (1 - correlation)
    # deviations are from an estimated center, so their power is too small by its variance
    shortfall = max(1 - inflation / rounds, 0.2)
    freedom = max(rounds / inflation - 1, 2.0)
    return power * inflation / shortfall / rounds, freedom


@lru_cache(maxsize=8)
def _pairs(rounds: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    if rounds <= _ALL_PAIRS:
        first, second = np.triu_indices(rounds)
        return first, second
    # every round with itself and with others at steps spread over the whole series
    steps = np.unique(np.linspace(0, rounds // 2, _ALL_PAIRS // 2).astype(np.intp))
    first = np.tile(np.arange(rounds), len(steps))
    second = (first + np.repeat(steps, rounds)) % rounds
    return first, second


def _bound(ordered: Array, reach: float) -> float:
    """Return the quantile ``reach`` away from the median.

    With few or strongly correlated rounds the bound may lie beyond the outermost value; it is then
    extrapolated in proportion.
    """
    if abs(reach) <= 0.5:
        return _quantile(ordered, 0.5 + reach)
    middle, outermost = _quantile(ordered, 0.5), float(ordered[0 if reach < 0 else -1])
    return middle + (outermost - middle) * abs(reach) / 0.5


def _quantile(ordered: Array, share: float) -> float:
    if share == 0.5:
        return float(np.median(ordered))
    return float(ordered[min(int(share * len(ordered)), len(ordered) - 1)])
