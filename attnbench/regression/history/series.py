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
    MetricValue,
    MetricValues,
    Value,
    read_metrics,
)
from attnbench.regression.history.runs import History

_FOLLOWED = (STATUS, *COUNTS, OVERHEAD, PEAK, FALLBACKS, *ACCURACIES)


@dataclass(frozen=True)
class Point:
    """A value of a series; see :class:`MetricValue` for the units."""

    run: int
    """Index of the run in the history."""
    value: Value
    reading: MetricValue

    @property
    def number(self) -> float:
        """Value as a number."""
        return float(self.value)


@dataclass(frozen=True)
class Series:
    """A metric of a case, run by run."""

    case: str
    metric: str
    points: tuple[Point, ...]
    gaps: Mapping[int, str]
    """Reasons why runs of a suite that has the case give no value, by the run's index."""

    @property
    def is_exact(self) -> bool:
        """Return whether any other value is a change."""
        return self.metric not in NOISY

    @property
    def groups(self) -> tuple[Group, ...]:
        """Machines and versions that its values were measured with, in order."""
        return tuple(dict.fromkeys(point.reading.group for point in self.points))

    def of_group(self, group: Group) -> list[Point]:
        """Return the points of one group, which are comparable."""
        return [point for point in self.points if point.reading.group == group]


def collect(
    history: History, globs: Sequence[str] = (), metrics: Sequence[str] = ()
) -> list[Series]:
    """Return the series of the cases that match, in order of case and metric.

    Args:
        history: the runs.
        globs: names or patterns of cases; if empty, all cases. An accuracy case may be named with
            a seed or without.
        metrics: names of metrics; if empty, those that are followed by default.

    Raises:
        RequestError: a glob or a metric matches nothing.
    """
    known: dict[str, set[str]] = {}
    for record in (record for entry in history.entries for record in entry.run.records.values()):
        known.setdefault(record.case_key, {record.case_key}).add(record.case)
    chosen = dict.fromkeys(_matching(known, globs))
    found = [read_metrics(entry.run, chosen) for entry in history.entries]
    wanted = _wanted({metric for values in found for _, metric in values}, metrics)
    series = [_series(history, found, case, metric) for case in chosen for metric in wanted]
    return [each for each in series if each.points and (metrics or _is_informative(each))]


def _matching(known: Mapping[str, set[str]], globs: Sequence[str]) -> Iterator[str]:
    """Yield the cases that match by a name of theirs: without the seed, or with one."""
    for glob in globs:
        if not any(_matches(names, glob) for names in known.values()):
            raise RequestError(
                f"--case matches none of {len(known)} cases: got {glob!r}. One of them is "
                f"{next(iter(known))!r}.{suggestion(glob, known)}"
                if known
                else f"--case matches nothing: got {glob!r}. The runs have no case"
            )
    for case, names in known.items():
        if not globs or any(_matches(names, glob) for glob in globs):
            yield case


def _matches(names: set[str], glob: str) -> bool:
    return glob in names or any(fnmatchcase(name, glob) for name in names)


def _wanted(present: set[str], metrics: Sequence[str]) -> list[str]:
    for metric in metrics:
        if metric not in present:
            raise RequestError(
                f"--metric is unknown: got {metric!r}. Choose from {', '.join(sorted(present))}."
                f"{suggestion(metric, present)}"
            )
    return list(metrics) or [followed for followed in _FOLLOWED if followed in present]


def _series(history: History, found: Sequence[MetricValues], case: str, metric: str) -> Series:
    points: list[Point] = []
    gaps: dict[int, str] = {}
    pairs = list(zip(history.entries, found, strict=True))
    keys = {(case, STATUS), (case, metric)}
    suites = {entry.suite for entry, values in pairs if keys & values.keys()}
    for at, (entry, values) in enumerate(pairs):
        reading = values.get((case, metric))
        if reading is not None and reading.value is not None:
            points.append(Point(at, reading.value, reading))
        elif reading is not None:
            gaps[at] = reading.reason
        elif entry.suite in suites:
            gaps[at] = "not in this run"
    return Series(case, metric, tuple(points), gaps)


def _is_informative(series: Series) -> bool:
    """Return whether to show a series: not if its status is always ok, or its count always 0."""
    values = {point.value for point in series.points}
    return series.metric not in (STATUS, FALLBACKS) or not values <= {"ok", 0}
