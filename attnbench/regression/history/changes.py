"""Change points of a series: another value of an exact metric, another level of a noisy one.

Values of different machines or versions are never compared: each group is a series of its own.
Runners that alternate between two processors thus give two series, not a sequence of changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from attnbench.regression.history.metric_values import OVERHEAD, Group
from attnbench.regression.history.series import Point, Series
from attnbench.stats.changepoints import Segmentation, segment
from attnbench.stats.verdict import LatencyChangeRule

_RESOLUTION = {OVERHEAD: 1e-4}
_POINTS = 1e-3
"""Accuracies closer than this many points are the same."""


@dataclass(frozen=True)
class ChangePoint:
    """A change point.

    Values of ``overhead`` are logarithms of ratios, accuracies are points.

    Attributes:
        before: value, or mean, of the segment before.
        after: value, or mean, of the segment after.
        difference: difference of the two; None for texts.
        low: lower end of its 95% interval; None for an exact metric.
        last_before: index in the history of the last run that is certainly before the change.
        first_after: index of the first run after the change, as estimated.
        surely_after: index of the first run that is certainly after it.
        note: versions that changed together with an exact value.
    """

    before: int | float | str
    after: int | float | str
    difference: float | None
    low: float | None
    high: float | None
    last_before: int
    first_after: int
    surely_after: int
    note: str = ""


@dataclass(frozen=True)
class Segment:
    """A segment of constant level within a group."""

    group: Group
    first: int
    """Index in the history of its first run."""
    last: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Track:
    """A series with its segments and change points, in order of the runs."""

    series: Series
    segments: tuple[Segment, ...]
    changes: tuple[ChangePoint, ...]


def track(series: Series) -> Track:
    """Find the change points of a series."""
    segments: list[Segment] = []
    changes: list[ChangePoint] = []
    for group in series.groups:
        points = series.of_group(group)
        if series.is_exact:
            changes += _exact(points)
        else:
            found = _segmented(series, points)
            segments += _segments(group, points, found)
            changes += _noisy(points, found)
    changes.sort(key=lambda change: change.first_after)
    return Track(series, tuple(segments), tuple(changes))


def _exact(points: list[Point]) -> Iterator[ChangePoint]:
    for old, new in pairwise(points):
        if old.value == new.value:
            continue
        both = old.value, new.value
        numbers = [value for value in both if not isinstance(value, str)]
        difference = numbers[1] - numbers[0] if len(numbers) == 2 else None
        note = describe_differences(old.reading.versions, new.reading.versions)
        yield ChangePoint(*both, difference, None, None, old.run, new.run, new.run, note)


def _segmented(series: Series, points: list[Point]) -> Segmentation:
    return segment(
        [point.number for point in points],
        [point.reading.error for point in points],
        resolution=_RESOLUTION.get(series.metric, _POINTS),
        least=math.log1p(LatencyChangeRule().minimum_effect) if series.metric == OVERHEAD else 0.0,
        shared=series.metric != OVERHEAD,
    )


def _segments(group: Group, points: list[Point], found: Segmentation) -> Iterator[Segment]:
    for level in found.levels:
        half = 1.96 * level.error
        first, last = points[level.first].run, points[level.last].run
        yield Segment(group, first, last, level.mean, level.mean - half, level.mean + half)


def _noisy(points: list[Point], found: Segmentation) -> Iterator[ChangePoint]:
    for before, after, cut in zip(found.levels[:-1], found.levels[1:], found.cuts, strict=True):
        yield ChangePoint(
            before.mean,
            after.mean,
            cut.difference,
            cut.low,
            cut.high,
            points[cut.earliest - 1].run,
            points[cut.at].run,
            points[cut.latest].run,
        )


def describe_differences(old: Group, new: Group) -> str:
    """Return the differences of two groups, ``"torch 2.13 -> 2.14"``; empty without any."""
    before, after = dict(old), dict(new)
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return ", ".join(f"{key} {before.get(key, 'none')} -> {after.get(key, 'none')}" for key in keys)
