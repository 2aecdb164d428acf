"""Anytime-valid interval and test of a mean, for seeds that are added until something is decided.

The e-process is the t-statistic mixed over effect sizes: the likelihood ratio of the maximal
invariant (the values up to their scale, so that the variance may be unknown), averaged over
mean / standard deviation ~ N(0, 1 / c). For n values with sum S and sum of squares V it is

    sqrt(c / (n + c)) (1 - S^2 / ((n + c) V)) ^ (-n / 2)

Lai, "On confidence sequences", Annals of Statistics 4(2), 1976; Wang and Ramdas, "Anytime-valid
t-tests and confidence sequences for Gaussian means with unknown variance", 2023, arXiv:2310.03722
(theorem on the Gaussian mixture of scale-invariant likelihood ratios). By Ville's inequality it
exceeds 20 at any time with a probability of at most 5%; the means that it does not reject are the
interval, which holds at all times at once for normal differences. 1 / e is a p-value that stays
valid whenever a race stops, under any dependence of the arms, which share the plain network.
Benjamini-Hochberg on it is e-BH (Wang and Ramdas, JRSS-B 2022, arXiv:2009.02824), which controls
the share of false discoveries; verdicts of races use Holm's stricter step-down, so that any wrong
*better* or *worse* is in at most 5% of tables (``benchmarks/racing.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from attnbench.stats.hodges_lehmann import Array
from attnbench.stats.paired_difference import DifferenceEstimate, estimate

_PRECISION = 0.25
"""c, the precision of the mixture: effects of about two standard deviations are expected."""
_LEVEL = 0.05


def anytime_estimate(values: Sequence[float], *, resolution: float = 0.0) -> DifferenceEstimate:
    """Return the mean of paired differences with an interval that holds at any stopping time.

    Spread of equal values and ``resolution`` are as in
    :func:`~attnbench.stats.paired_difference.estimate`.
    """
    found = estimate(values, resolution=resolution)
    if found.count < 2 or found.sd == 0:
        return replace(found, anytime=True)
    return anytime_summary(found.mean, found.sd, found.count)


def anytime_summary(mean: float, sd: float, count: int) -> DifferenceEstimate:
    """Return the estimate of differences with this mean and standard deviation, above 0."""
    center, spread = np.array(mean), np.array(sd)
    reach = float(half_width(spread, count))
    p_value = math.exp(-max(float(log_e_value(center, spread, count)), 0.0))
    return DifferenceEstimate(mean, mean - reach, mean + reach, sd, count, p_value, anytime=True)


def log_e_value(mean: Array, sd: Array, count: Array | int) -> Array:
    """Return the logarithm of the e-value against a mean of 0."""
    squares = count * mean**2 + (count - 1) * sd**2
    share = (count * mean) ** 2 / ((count + _PRECISION) * squares)
    mixed: Array = 0.5 * np.log(_PRECISION / (count + _PRECISION)) - count / 2 * np.log1p(-share)
    return mixed


def half_width(sd: Array, count: Array | int) -> Array:
    """Return half of the 95% interval; infinity where the values do not bound the mean."""
    tail = _LEVEL * np.sqrt(_PRECISION / (count + _PRECISION))
    share = (1 - tail ** (2 / np.asarray(count))) * (count + _PRECISION)
    bounded = count > share
    square = share * (count - 1) * sd**2 / np.where(bounded, count * (count - share), 1)
    return np.where(bounded, np.sqrt(square), np.inf)
