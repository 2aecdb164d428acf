"""Tracks of a history with the commits of each change: one document for every format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from attnbench.regression.history.changes import ChangePoint, Track, track
from attnbench.regression.history.metric_values import (
    Group,
    display_bound,
    display_value,
    is_worse,
    metric_unit,
)
from attnbench.regression.history.runs import History, HistoryEntry
from attnbench.regression.history.series import Series


@dataclass(frozen=True)
class ChangeOrigin:
    """Origin of a change.

    Attributes:
        first: the first run with the new value, as estimated.
        before: the last run that certainly has the old one.
        after: the first run that certainly has the new one.
        commits: number of commits that may have made the change; None without git.
        gaps: runs between without a value, each with its reason.
    """

    first: HistoryEntry
    before: HistoryEntry
    after: HistoryEntry
    commits: int | None
    gaps: tuple[tuple[HistoryEntry, str], ...]

    @property
    def range(self) -> str:
        """Range of commits as git takes it, ``a1b2c3d..d4e5f6a``."""
        return f"{self.before.label}..{self.after.label}"

    @property
    def is_certain(self) -> bool:
        """Return whether no other commit can have made the change."""
        return self.commits == 1 and self.first is self.after


@dataclass(frozen=True)
class HistoryReport:
    """A history with its tracks."""

    history: History
    tracks: tuple[Track, ...]

    @property
    def changed(self) -> list[Track]:
        """Tracks with a change."""
        return [tracked for tracked in self.tracks if tracked.changes]

    def origin(self, found: Track, change: ChangePoint) -> ChangeOrigin:
        """Return the origin of a change."""
        entries, own = self.history.entries, self.history.repository
        before, after = entries[change.last_before], entries[change.surely_after]
        commits = None
        if own and before.commit and after.commit:
            commits = own.between(before.commit.hash, after.commit.hash)
        gaps = tuple(
            (entries[at], reason)
            for at, reason in found.series.gaps.items()
            if change.last_before < at < change.surely_after
        )
        return ChangeOrigin(entries[change.first_after], before, after, commits, gaps)

    def to_json(self) -> dict[str, Any]:
        """Return the document that ``history --json`` prints."""
        return {
            "order": self.history.order,
            "notes": list(self.history.notes),
            "runs": [_run(entry) for entry in self.history.entries],
            "series": [self._track(tracked) for tracked in self.tracks],
        }

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield tidy data: a line for each run of each series."""
        for tracked in self.tracks:
            starts = {change.first_after for change in tracked.changes}
            for point in _points(tracked.series):
                group = ", ".join(f"{key} {value}" for key, value in point["group"].items())
                yield {
                    "case": tracked.series.case,
                    "metric": tracked.series.metric,
                    **_run(self.history.entries[point["run"]]),
                    **point,
                    "group": group,
                    "change": point["run"] in starts,
                }

    def _track(self, tracked: Track) -> dict[str, Any]:
        metric = tracked.series.metric
        return {
            "case": tracked.series.case,
            "metric": metric,
            "unit": metric_unit(metric),
            "exact": tracked.series.is_exact,
            "points": _points(tracked.series),
            "gaps": [{"run": at, "reason": why} for at, why in tracked.series.gaps.items()],
            "segments": [
                {
                    "first": segment.first,
                    "last": segment.last,
                    "mean": display_value(metric, segment.mean),
                    "low": display_bound(metric, segment.low),
                    "high": display_bound(metric, segment.high),
                    "group": dict(segment.group),
                }
                for segment in tracked.segments
            ],
            "changes": [self._change(tracked, change) for change in tracked.changes],
        }

    def _change(self, tracked: Track, change: ChangePoint) -> dict[str, Any]:
        metric, origin = tracked.series.metric, self.origin(tracked, change)
        commit = origin.first.commit
        return {
            "run": change.first_after,
            "before": display_value(metric, change.before),
            "after": display_value(metric, change.after),
            "difference": None
            if change.difference is None
            else display_value(metric, change.difference),
            "low": display_bound(metric, change.low),
            "high": display_bound(metric, change.high),
            "worse": is_worse(metric, change.before, change.after),
            "commit": commit.hash if commit else origin.first.name,
            "subject": commit.subject if commit else None,
            "range": origin.range,
            "commits": origin.commits,
            "without_value": [
                {"run": entry.label, "reason": reason} for entry, reason in origin.gaps
            ],
            "note": change.note,
        }


def find_changes(history: History, series: Sequence[Series]) -> HistoryReport:
    """Find the change points of all series."""
    return HistoryReport(history, tuple(track(member) for member in series))


def _points(series: Series) -> list[dict[str, Any]]:
    return [
        {
            "run": point.run,
            "value": display_value(series.metric, point.value),
            "low": display_bound(series.metric, point.reading.low),
            "high": display_bound(series.metric, point.reading.high),
            "group": dict(point.reading.group),
        }
        for point in series.points
    ]


def _run(entry: HistoryEntry) -> dict[str, Any]:
    return {
        "label": entry.label,
        "commit": entry.commit.hash if entry.commit else entry.run.header.commit,
        "subject": entry.commit.subject if entry.commit else None,
        "date": entry.date or (entry.commit.date if entry.commit else None),
        "folder": entry.folder,
        "suite": entry.suite,
    }


def group_names(groups: Sequence[Group]) -> dict[Group, str]:
    """Return the facts that distinguish each group from the others; empty for a single one."""
    shared = set(groups[0]).intersection(*groups[1:]) if groups else set()
    return {
        group: ", ".join(f"{key} {value}" for key, value in group if (key, value) not in shared)
        for group in groups
    }
