"""One metric of one case over the runs of a history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from attnbench.errors import RequestError, suggestion
from attnbench.regression.history.metric_values import (
    ACCURACIES,
    COUNTS,
    FALLBACKS,
    NOISY,
    OVERHEAD,
    PEAK,
    STATUS,
    Group,
    Reading,
    Readings,
    cases,
    readings,
    without_seed,
)
from attnbench.regression.history.runs import History

_FOLLOWED = (STATUS, *COUNTS, OVERHEAD, PEAK, FALLBACKS, *ACCURACIES)
NOT_THERE = "not in this run"


@dataclass(frozen=True)
class Point:
    """A value of a series; see :class:`Reading` for the units."""

    run: int
    """Index of the run in the history."""
    reading: Reading

    @property
    def value(self) -> int | float | str:
        """The value, which a point always has."""
        if self.reading.value is None:
            raise ValueError("a point without a value")
        return self.reading.value

    @property
    def number(self) -> float:
        """The value as a number."""
        return float(self.value)


@dataclass(frozen=True)
class Series:
    """A metric of a case, run by run."""

    case: str
    metric: str
    points: tuple[Point, ...]
    gaps: Mapping[int, str]
    """Why a run of a suite that has the case gives no value, by the run's index."""

    @property
    def is_exact(self) -> bool:
        """Whether any other value is a change."""
        return self.metric not in NOISY

    @property
    def groups(self) -> tuple[Group, ...]:
        """The machines and versions that its values were measured with, in order."""
        return tuple(dict.fromkeys(one.reading.group for one in self.points))

    def of_group(self, group: Group) -> list[Point]:
        """Return the points of one group, which are comparable."""
        return [one for one in self.points if one.reading.group == group]


def collect(
    history: History, globs: Sequence[str] = (), metrics: Sequence[str] = ()
) -> list[Series]:
    """Return the series of the cases that match, in order of case and metric.

    Args:
        history: the runs.
        globs: names or patterns of cases; all without any. An accuracy case may be named with a
            seed or without.
        metrics: names of metrics; without any those that a change is usually looked for in.

    Raises:
        RequestError: a glob or a metric matches nothing.
    """
    known = list(dict.fromkeys(case for one in history.entries for case in cases(one.run)))
    chosen = dict.fromkeys(_matching(known, globs))
    found = [readings(one.run, chosen) for one in history.entries]
    wanted = _wanted({metric for one in found for _, metric in one}, metrics)
    series = [_series(history, found, case, metric) for case in chosen for metric in wanted]
    return [one for one in series if one.points and (metrics or _says_something(one))]


def _matching(known: Sequence[str], globs: Sequence[str]) -> Iterator[str]:
    for glob in globs:
        if not any(_matches(case, glob) for case in known):
            raise RequestError(
                f"--case {glob!r} matches none of the {len(known)} cases, for example "
                f"{known[0]!r}.{suggestion(glob, known)}"
                if known
                else f"--case {glob!r} matches nothing: the runs hold no case"
            )
    return (one for one in known if not globs or any(_matches(one, glob) for glob in globs))


def _matches(case: str, glob: str) -> bool:
    globs = [glob, without_seed(glob)] if case.startswith("accuracy/") else [glob]
    return case in globs or any(fnmatchcase(case, one) for one in globs)


def _wanted(present: set[str], metrics: Sequence[str]) -> list[str]:
    for metric in metrics:
        if metric not in present:
            raise RequestError(
                f"--metric {metric!r}: these cases have {', '.join(sorted(present))}."
                f"{suggestion(metric, present)}"
            )
    return list(metrics) or [one for one in _FOLLOWED if one in present]


def _series(history: History, found: Sequence[Readings], case: str, metric: str) -> Series:
    points: list[Point] = []
    gaps: dict[int, str] = {}
    suites = {
        entry.suite
        for entry, one in zip(history.entries, found, strict=True)
        if (case, STATUS) in one or (case, metric) in one
    }
    for at, (entry, one) in enumerate(zip(history.entries, found, strict=True)):
        reading = one.get((case, metric))
        if reading is not None and reading.value is not None:
            points.append(Point(at, reading))
        elif reading is not None:
            gaps[at] = reading.reason
        elif entry.suite in suites:
            gaps[at] = NOT_THERE
    return Series(case, metric, tuple(points), gaps)


def _says_something(series: Series) -> bool:
    """A status that was always the same, and an operator count of always 0, are left unsaid."""
    values = {one.value for one in series.points}
    return not (series.metric in (STATUS, FALLBACKS) and values <= {"ok", 0})
