"""The tracks of a history with what git says of each change: one document for every format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from attnbench.regression.history import value_format
from attnbench.regression.history.changes import ChangePoint, Track, track
from attnbench.regression.history.metric_values import Group
from attnbench.regression.history.runs import History, HistoryEntry
from attnbench.regression.history.series import Series


@dataclass(frozen=True)
class ChangeOrigin:
    """Where a change came from.

    Attributes:
        first: the first run with the new value, as far as can be told.
        before: the last run that surely has the old one.
        after: the first run that surely has the new one.
        commits: how many commits may have made the change; None without git.
        gaps: runs between that give no value, each with its reason.
    """

    first: HistoryEntry
    before: HistoryEntry
    after: HistoryEntry
    commits: int | None
    gaps: tuple[tuple[HistoryEntry, str], ...]

    @property
    def range(self) -> str:
        """``a1b2c3d..d4e5f6a``, as git takes it."""
        return f"{self.before.label}..{self.after.label}"

    @property
    def is_certain(self) -> bool:
        """Whether it can be no other commit."""
        return self.commits == 1 and self.first is self.after


@dataclass(frozen=True)
class HistoryReport:
    """What a history has to tell."""

    history: History
    tracks: tuple[Track, ...]

    @property
    def changed(self) -> list[Track]:
        """The tracks with a change."""
        return [one for one in self.tracks if one.changes]

    def origin(self, found: Track, change: ChangePoint) -> ChangeOrigin:
        """Return where a change came from."""
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
            "runs": [_run(one) for one in self.history.entries],
            "series": [self._track(one) for one in self.tracks],
        }

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield tidy data: a line for each run of each series."""
        for one in self.tracks:
            starts = {change.first_after for change in one.changes}
            for point in _points(one.series):
                entry = self.history.entries[point["run"]]
                known = {"case": one.series.case, "metric": one.series.metric}
                yield {
                    **known,
                    **_run(entry),
                    **point,
                    "group": _text_of(point["group"]),
                    "change": point["run"] in starts,
                }

    def _track(self, one: Track) -> dict[str, Any]:
        metric = one.series.metric
        return {
            "case": one.series.case,
            "metric": metric,
            "unit": value_format.unit(metric),
            "exact": one.series.is_exact,
            "points": _points(one.series),
            "gaps": [{"run": at, "reason": why} for at, why in one.series.gaps.items()],
            "segments": [
                {
                    "first": segment.first,
                    "last": segment.last,
                    "mean": value_format.outward(metric, segment.mean),
                    "low": value_format.bound(metric, segment.low),
                    "high": value_format.bound(metric, segment.high),
                    "group": dict(segment.group),
                }
                for segment in one.segments
            ],
            "changes": [self._change(one, change) for change in one.changes],
        }

    def _change(self, found: Track, change: ChangePoint) -> dict[str, Any]:
        metric, origin = found.series.metric, self.origin(found, change)
        commit = origin.first.commit
        return {
            "run": change.first_after,
            "before": value_format.outward(metric, change.before),
            "after": value_format.outward(metric, change.after),
            "difference": None
            if change.difference is None
            else value_format.outward(metric, change.difference),
            "low": value_format.bound(metric, change.low),
            "high": value_format.bound(metric, change.high),
            "worse": value_format.is_worse(metric, change.before, change.after),
            "commit": commit.hash if commit else origin.first.name,
            "subject": commit.subject if commit else None,
            "range": origin.range,
            "commits": origin.commits,
            "without_value": [
                {"run": entry.label, "reason": reason} for entry, reason in origin.gaps
            ],
            "note": change.note,
        }


def findings(history: History, series: Sequence[Series]) -> HistoryReport:
    """Find the changes of all series."""
    return HistoryReport(history, tuple(track(one) for one in series))


def _points(series: Series) -> list[dict[str, Any]]:
    return [
        {
            "run": one.run,
            "value": value_format.outward(series.metric, one.value),
            "low": value_format.bound(series.metric, one.reading.low),
            "high": value_format.bound(series.metric, one.reading.high),
            "group": dict(one.reading.group),
        }
        for one in series.points
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


def _text_of(group: dict[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in group.items())


def group_names(groups: Sequence[Group]) -> dict[Group, str]:
    """Return for each group what tells it from the others; empty of a single one."""
    shared = set(groups[0]).intersection(*groups[1:]) if groups else set()
    return {
        group: ", ".join(f"{key} {value}" for key, value in group if (key, value) not in shared)
        for group in groups
    }
