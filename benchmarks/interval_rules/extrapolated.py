"""The former rule: quantiles of the pairwise means, extrapolated, and the wider of two spreads.

Frozen for comparison. In each process the interval of the Hodges-Lehmann estimate ends at quantiles
of the means of all pairs of differences; where it reaches beyond the outermost mean, the distance
to that one is extrapolated in proportion, without limit. Several processes have the wider of two
intervals: by the spread of their estimates, and by the mean of their own intervals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from attnbench.stats.timing_samples import AGAIN, TimingSamples

Array = NDArray[np.float64]

_MOST_PAIRED = 300
"""Number of rounds beyond which each is paired with some others only."""


@dataclass(frozen=True)
class Interval:
    """An estimate of the logarithm of a ratio."""

    value: float
    low: float
    high: float
    freedom: float

    @property
    def width(self) -> float:
        """Return the width of the interval of the logarithm."""
        return self.high - self.low


def interval(processes: Sequence[TimingSamples], arm: str) -> Interval:
    """Return the interval of an arm, or of the A/A arm, from the samples of each process."""
    own = [_of_one_process(differences(samples, arm)) for samples in processes]
    if len(own) == 1:
        return own[0]
    values = [part.value for part in own]
    spread, freedom = float(np.var(values, ddof=1)), float(len(own) - 1)
    if arm != AGAIN:
        copies = [_of_one_process(differences(samples, AGAIN)).value for samples in processes]
        spread = max(spread, (spread + float(np.var(copies, ddof=1))) / 2)
        freedom *= 2
    between = _by_student(values, math.sqrt(spread / len(own)), freedom)
    errors = [part.width / 2 / stats.t.ppf(0.975, part.freedom) for part in own]
    within = math.hypot(*errors) / len(own)
    rounds = _by_student(values, within, sum(part.freedom for part in own))
    return max(between, rounds, key=lambda found: found.width)


def differences(samples: TimingSamples, arm: str) -> Array:
    """Return the differences of logarithms to the baseline and, for an arm, to its copy."""
    logs = {name: np.log(row) for name, row in samples.seconds.items()}
    others = (samples.baseline,) if arm == AGAIN else (samples.baseline, AGAIN)
    return np.array([logs[arm] - logs[other] for other in others])


def _of_one_process(rows: Array) -> Interval:
    means = np.sort(_pairwise_means(rows))
    value = float(np.median(means))
    ranks = [(stats.rankdata(row) - 0.5) / len(row) - 0.5 for row in rows]
    variance, freedom = _variance_of_mean(np.mean(ranks, axis=0))
    reach = float(stats.t.ppf(0.975, freedom)) * 2 * math.sqrt(variance)
    return Interval(value, _end(means, -reach), _end(means, reach), freedom)


def _pairwise_means(rows: Array) -> Array:
    rounds = rows.shape[1]
    first, second = np.triu_indices(rounds)
    if rounds > _MOST_PAIRED:
        steps = np.unique(np.linspace(0, rounds // 2, _MOST_PAIRED // 2).astype(int))
        first = np.tile(np.arange(rounds), len(steps))
        second = (first + np.repeat(steps, rounds)) % rounds
    return np.asarray((rows[:, first] + rows[:, second]) / 2).ravel()


def _variance_of_mean(ranks: Array) -> tuple[float, float]:
    """Return the variance, and its freedom, with a correlation that is raised by half an error."""
    rounds, power = len(ranks), float(np.mean(ranks**2))
    lagged = float(np.sum(ranks[1:] * ranks[:-1])) / (power * rounds)
    unbiased = lagged + (1 + 3 * lagged) / rounds
    raised = unbiased + math.sqrt(max(1 - unbiased**2, 0.05) / rounds) / 2
    correlation = min(max(raised, 0.0), 0.95)
    inflation = (1 + correlation) / (1 - correlation)
    shortfall = max(1 - inflation / rounds, 0.2)
    return power * inflation / shortfall / rounds, max(rounds / inflation - 1, 2.0)


def _end(ordered: Array, reach: float) -> float:
    middle = float(np.median(ordered))
    if abs(reach) <= 0.5:
        return float(ordered[min(int((0.5 + reach) * len(ordered)), len(ordered) - 1)])
    outermost = float(ordered[0 if reach < 0 else -1])
    return middle + (outermost - middle) * abs(reach) / 0.5


def _by_student(values: Sequence[float], error: float, freedom: float) -> Interval:
    mean, reach = float(np.mean(values)), float(stats.t.ppf(0.975, freedom)) * error
    return Interval(mean, mean - reach, mean + reach, freedom)
