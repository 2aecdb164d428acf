"""Change points in the level of a noisy series, by optimal partitioning of the whole series.

The cuts minimize the squared distances from each segment's mean, in units of the noise, plus a
penalty for each cut (Jackson and others 2005, "optimal partitioning"; PELT finds the same cuts).
Binary segmentation would miss temporary changes: a slowdown that is fixed after a few commits
moves neither half much.

The noise is the larger of the values' own errors and the differences between neighbors. A value
far from all its neighbors is clipped at three standard deviations, so that a single outlier is no
change. The penalty is similar to that of BIC, a constant and a multiple of log n; its numbers come
from simulation: without a change, fewer than 1 series in 200 is cut, for normal, t-distributed (3
degrees of freedom) and contaminated noise, with 4 to 100 values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from attnbench.stats.hodges_lehmann import Array, t_p_value, t_quantile

SHORTEST = 2
"""Minimum number of values in a segment."""
_FEWEST = 2 * SHORTEST
_KEPT = 0.8
"""Share of the squared differences of neighbors that is kept: the largest may be changes."""
_KEPT_MEAN = 0.4417
"""Mean of the smallest 80% of squared standard normal values."""
_REACH = 3.0
_NEIGHBORS = 2
_SAME_PLACE = 6.0
"""Squared units of noise by which a position of a cut may be worse than the best."""
_SURE = 0.005


@dataclass(frozen=True)
class Cut:
    """A change point: a change of level.

    Attributes:
        at: index of the first value after the change.
        earliest: the first index that fits about as well.
        latest: the last index that fits about as well.
        difference: mean after the change less mean before it.
        low: lower end of its 95% interval.
    """

    at: int
    earliest: int
    latest: int
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Level:
    """The mean of a segment: values ``first`` to ``last``, both included."""

    first: int
    last: int
    mean: float
    error: float


@dataclass(frozen=True)
class Segmentation:
    """A series cut into levels."""

    levels: tuple[Level, ...]
    cuts: tuple[Cut, ...]


def segment(
    values: Sequence[float],
    errors: Sequence[float],
    *,
    resolution: float,
    least: float = 0.0,
    shared: bool = False,
) -> Segmentation:
    """Cut a series where its level changes.

    Args:
        values: the series in order, at least one value.
        errors: the standard error of each value.
        resolution: difference below which two values are equal; above 0.
        least: the smallest change that is reported; smaller ones are no cuts.
        shared: all values have a common part of their error (the seeds of trainings), so that many
            of them are no more certain than one.
    """
    series = _Series.of(values, errors, resolution)
    bounds = _partition(series)
    while len(bounds) > 2:
        doubtful = _doubtful(series, bounds, least, shared)
        if doubtful is None:
            break
        bounds = [bound for bound in bounds if bound != doubtful]
    return Segmentation(tuple(_levels(series, bounds)), tuple(_cuts(series, bounds, shared)))


def penalty(count: int) -> float:
    """Return the penalty of a cut in a series of ``count`` values, in squared units of noise.

    The last term is for short series, whose noise is known only roughly.
    """
    return 20 + 1.5 * math.log(count) + 1000 / count**2


@dataclass(frozen=True)
class _Series:
    values: Array
    """Values with outliers clipped."""
    noise: Array
    """Standard deviation of each value."""
    errors: Array
    sums: Array
    """Cumulative sums from 0 of weights, weighted values, weighted squares; (3, n + 1)."""

    @classmethod
    def of(cls, values: Sequence[float], errors: Sequence[float], resolution: float) -> _Series:
        raw = np.asarray(values, dtype=np.float64)
        given = np.hypot(np.asarray(errors, dtype=np.float64), resolution)
        noise = _noise(raw, given)
        kept = _clipped(raw, noise)
        # centered on the median, so that the squares lose no digits
        weights, centered = noise**-2, kept - np.median(kept)
        sums = np.cumsum([weights, weights * centered, weights * centered**2], axis=1)
        return cls(kept, noise, given, np.pad(sums, ((0, 0), (1, 0))))

    def cost(self, start: int | NDArray[np.intp], stop: int) -> Array:
        """Return the squared distances from the mean of ``values[start:stop]``, over noise."""
        weight, total, squares = self.sums[:, [stop]] - self.sums[:, np.atleast_1d(start)]
        return np.asarray(squares - total**2 / weight)

    def level(self, start: int, stop: int) -> Level:
        weights = self.noise[start:stop] ** -2
        mean = float(np.average(self.values[start:stop], weights=weights))
        return Level(start, stop - 1, mean, float(weights.sum() ** -0.5))

    def shared_error(self, level: Level) -> float:
        return float(np.sqrt(np.mean(self.errors[level.first : level.last + 1] ** 2)))


def _noise(values: Array, errors: Array) -> Array:
    """Return each value's standard deviation, from its error and from its neighbors.

    An error that is small by chance does not give a value more weight than a typical one.
    """
    own = np.maximum(errors, np.median(errors))
    if len(values) < _FEWEST:
        return own
    extra = max(0.0, _roughness(values, np.ones_like(own)) ** 2 - float(np.median(own)) ** 2)
    noise = np.sqrt(own**2 + extra)
    return np.asarray(noise * max(1.0, _roughness(values, noise)))


def _roughness(values: Array, noise: Array) -> float:
    """Return the noise from differences of neighbors without the largest, in units of ``noise``."""
    squares = np.sort(np.diff(values) ** 2 / ((noise[:-1] ** 2 + noise[1:] ** 2) / 2))
    kept = squares[: max(1, int(_KEPT * len(squares)))]
    return math.sqrt(float(kept.mean()) / 2 / _KEPT_MEAN)


def _clipped(values: Array, noise: Array) -> Array:
    """Return the values with outliers clipped towards their neighbors' median."""
    starts = (max(0, at - _NEIGHBORS) for at in range(len(values)))
    middles = np.array(
        [np.median(values[start : at + _NEIGHBORS + 1]) for at, start in enumerate(starts)]
    )
    return np.clip(values, middles - _REACH * noise, middles + _REACH * noise)


def _partition(series: _Series) -> list[int]:
    """Return the bounds of the optimal segments, including 0 and n."""
    count = len(series.values)
    if count < _FEWEST:
        return [0, count]
    price = penalty(count)
    best = np.full(count + 1, np.inf)
    best[0] = -price
    origin = np.zeros(count + 1, dtype=np.intp)
    for stop in range(SHORTEST, count + 1):
        starts = np.arange(0, stop - SHORTEST + 1)
        totals = best[starts] + series.cost(starts, stop) + price
        origin[stop] = int(np.argmin(totals))
        best[stop] = totals[origin[stop]]
    bounds = [count]
    while bounds[0] > 0:
        bounds.insert(0, int(origin[bounds[0]]))
    return bounds


def _levels(series: _Series, bounds: Sequence[int]) -> list[Level]:
    """Return the segments' means; large residuals widen their errors."""
    count = len(series.values)
    freedom = count - len(bounds) + 1
    residual = sum(float(series.cost(*pair)[0]) for pair in pairwise(bounds))
    factor = math.sqrt(max(1.0, residual / freedom)) if freedom > 0 else 1.0
    levels = [series.level(*pair) for pair in pairwise(bounds)]
    return [replace(level, error=level.error * factor) for level in levels]


def _cuts(series: _Series, bounds: Sequence[int], shared: bool) -> list[Cut]:
    levels = _levels(series, bounds)
    reach = t_quantile(max(1, len(series.values) - len(levels)))
    found = []
    for before, after in pairwise(levels):
        difference = after.mean - before.mean
        half = reach * _error(series, before, after, shared)
        earliest, latest = _places(series, before.first, after.first, after.last + 1)
        low, high = difference - half, difference + half
        found.append(Cut(after.first, earliest, latest, difference, low, high))
    return found


def _error(series: _Series, before: Level, after: Level, shared: bool) -> float:
    error = math.hypot(before.error, after.error)
    if shared:
        error = max(error, math.hypot(series.shared_error(before), series.shared_error(after)))
    return error


def _places(series: _Series, start: int, at: int, stop: int) -> tuple[int, int]:
    """Return the first and the last alternative index of a cut."""
    places = range(start + SHORTEST, stop - SHORTEST + 1)
    costs = np.array(
        [float(series.cost(start, cut)[0] + series.cost(cut, stop)[0]) for cut in places]
    )
    good = np.flatnonzero(costs <= costs[places.index(at)] + _SAME_PLACE)
    return places[int(good[0])], places[int(good[-1])]


def _doubtful(series: _Series, bounds: Sequence[int], least: float, shared: bool) -> int | None:
    """Return the bound of the smallest change that is not reportable; None if all are."""
    levels = _levels(series, bounds)
    freedom = max(1, len(series.values) - len(levels))
    found = []
    for before, after in pairwise(levels):
        size = abs(after.mean - before.mean)
        unsure = shared and t_p_value(size / _error(series, before, after, True), freedom) > _SURE
        if size < least or unsure:
            found.append((size, after.first))
    return min(found)[1] if found else None
