"""Where the level of a noisy series changes: the whole series is cut at its best places at once.

The series is cut so that the squared distances from each segment's mean, in units of the noise,
plus a penalty for each cut are least (Jackson and others 2005, "optimal partitioning"; PELT finds
the same cuts). Halving a series again and again would miss what comes and goes: a slowdown that
is mended after a few commits moves neither half much.

The noise is the larger of what the values' own errors say and what neighbours differ by. A value
far from all its neighbours counts only as far as three standard deviations, so that one bad
run is no change. The penalty is of the kind of BIC's, a constant and a multiple of log n; its
numbers come from simulation: without a change, fewer than 1 series in 200 is cut, of normal,
t-distributed (3 degrees of freedom) and contaminated noise, of 4 to 100 values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from attnbench.stats.hodges_lehmann import t_p_value, t_quantile

Array = NDArray[np.float64]

SHORTEST = 2
"""Values that a segment has at least."""
_FEWEST = 2 * SHORTEST
_KEPT = 0.8
"""Share of the squared differences of neighbours that are kept: the largest may be changes."""
_KEPT_MEAN = 0.4417
"""Mean of the smallest 80% of squared standard normal values."""
_REACH = 3.0
_NEIGHBOURS = 2
_SAME_PLACE = 6.0
"""Squared units of noise by which a place for a cut may be worse than the best."""
_SURE = 0.005


@dataclass(frozen=True)
class Cut:
    """A change of level.

    Attributes:
        at: index of the first value after it.
        earliest: the first index that fits about as well.
        latest: the last one.
        difference: mean after less mean before.
        low: lower end of its 95% interval.
        high: upper end.
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


def segmented(
    values: Sequence[float],
    errors: Sequence[float],
    *,
    resolution: float,
    least: float = 0.0,
    shared: bool = False,
) -> Segmentation:
    """Cut a series where its level changes.

    Args:
        values: in order, at least one.
        errors: the standard error of each.
        resolution: what two values may differ by and still be the same; above 0.
        least: the smallest change worth a word; smaller ones are no cuts.
        shared: all values have a part of their error in common (the seeds of trainings), so that
            many of them are no surer than one.
    """
    series = _Series.of(values, errors, resolution)
    bounds = _partition(series)
    while len(bounds) > 2:
        doubtful = _doubtful(series, bounds, least, shared)
        if doubtful is None:
            break
        bounds = [one for one in bounds if one != doubtful]
    return Segmentation(tuple(_levels(series, bounds)), tuple(_cuts(series, bounds, shared)))


def penalty(count: int) -> float:
    """Return what a cut of a series of so many values has to gain, in squared units of noise.

    The last term is for short series, whose noise is known but roughly.
    """
    return 20 + 1.5 * math.log(count) + 1000 / count**2


@dataclass(frozen=True)
class _Series:
    values: Array
    """With outliers pulled in."""
    noise: Array
    """Standard deviation of each."""
    errors: Array
    sums: Array
    """Cumulative, from 0: weights, weighted values, weighted squares; (3, n + 1)."""

    @classmethod
    def of(cls, values: Sequence[float], errors: Sequence[float], resolution: float) -> _Series:
        raw = np.asarray(values, dtype=np.float64)
        given = np.hypot(np.asarray(errors, dtype=np.float64), resolution)
        noise = _noise(raw, given)
        kept = _pulled_in(raw, noise)
        # about the middle, so that the squares lose no digits
        weights, centred = noise**-2, kept - np.median(kept)
        sums = np.cumsum([weights, weights * centred, weights * centred**2], axis=1)
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
    """Return each value's standard deviation, from its error and from its neighbours.

    An error that is small by luck does not make a value weigh more than the typical one.
    """
    own = np.maximum(errors, np.median(errors))
    if len(values) < _FEWEST:
        return own
    extra = max(0.0, _roughness(values, np.ones_like(own)) ** 2 - float(np.median(own)) ** 2)
    noise = np.sqrt(own**2 + extra)
    return np.asarray(noise * max(1.0, _roughness(values, noise)))


def _roughness(values: Array, noise: Array) -> float:
    """Return the noise that neighbours differ by, but for the largest differences; in ``noise``."""
    squares = np.sort(np.diff(values) ** 2 / ((noise[:-1] ** 2 + noise[1:] ** 2) / 2))
    kept = squares[: max(1, int(_KEPT * len(squares)))]
    return math.sqrt(float(kept.mean()) / 2 / _KEPT_MEAN)


def _pulled_in(values: Array, noise: Array) -> Array:
    """Return the values with outliers moved towards their neighbours' median."""
    middles = np.array(
        [
            np.median(values[max(0, at - _NEIGHBOURS) : at + _NEIGHBOURS + 1])
            for at in range(len(values))
        ]
    )
    return np.clip(values, middles - _REACH * noise, middles + _REACH * noise)


def _partition(series: _Series) -> list[int]:
    """Return the bounds of the best segments, 0 and n among them."""
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
    """Return the segments' means; their errors are widened by what is left over, if it is much."""
    count = len(series.values)
    freedom = count - len(bounds) + 1
    left = sum(float(series.cost(*pair)[0]) for pair in pairwise(bounds))
    wider = math.sqrt(max(1.0, left / freedom)) if freedom > 0 else 1.0
    found = [series.level(*pair) for pair in pairwise(bounds)]
    return [Level(one.first, one.last, one.mean, one.error * wider) for one in found]


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
    """Return the first and the last index that a cut may have instead."""
    places = range(start + SHORTEST, stop - SHORTEST + 1)
    costs = np.array(
        [float(series.cost(start, one)[0] + series.cost(one, stop)[0]) for one in places]
    )
    good = np.flatnonzero(costs <= costs[places.index(at)] + _SAME_PLACE)
    return places[int(good[0])], places[int(good[-1])]


def _doubtful(series: _Series, bounds: Sequence[int], least: float, shared: bool) -> int | None:
    """Return the bound of the smallest change that is not worth a word; None if all are."""
    levels = _levels(series, bounds)
    freedom = max(1, len(series.values) - len(levels))
    found = []
    for before, after in pairwise(levels):
        size = abs(after.mean - before.mean)
        unsure = shared and t_p_value(size / _error(series, before, after, True), freedom) > _SURE
        if size < least or unsure:
            found.append((size, after.first))
    return min(found)[1] if found else None
