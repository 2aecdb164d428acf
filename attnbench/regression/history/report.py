"""Tables of a history: the changes with their commits, then the series without a change."""

from __future__ import annotations

from collections.abc import Iterator

from attnbench.regression.history.changes import ChangePoint, Track
from attnbench.regression.history.metric_values import format_difference, format_value, is_worse
from attnbench.regression.history.report_data import ChangeOrigin, HistoryReport, group_names
from attnbench.reports.tables.footnotes import Footnotes
from attnbench.reports.tables.report import NECESSARY, Cell, Column, Report, Table, TextHead

_LISTED = 30
"""Maximum number of series without a change that are listed; more are only counted."""
_GAPS = 3
_CHANGES = (
    Column("Case", shown=(TextHead("Case", NECESSARY),)),
    Column("Metric", shown=(TextHead("Metric", NECESSARY),)),
    Column("Before", numeric=True, shown=(TextHead("Before", 20),)),
    Column("After", numeric=True, shown=(TextHead("After", 20),)),
    Column("Change", "95% interval", numeric=True, shown=(TextHead("Change", NECESSARY),)),
    Column("First commit after", shown=(TextHead("Since", 10),)),
    Column("May be any of", shown=(TextHead("Or any of", 30),)),
)
_STEADY = (
    Column("Case", shown=(TextHead("Case", NECESSARY),)),
    Column("Metric", shown=(TextHead("Metric", NECESSARY),)),
    Column("Runs", numeric=True, shown=(TextHead("Runs", 20, common=""),)),
    Column("Last value", "95% interval", numeric=True, shown=(TextHead("Last value", 10),)),
)
_ORDERS = {"git": "commits", "date": "date", "name": "folder name"}


def report(found: HistoryReport, folder: str) -> Report:
    """Return a history as a report; its lines hold every value."""
    history = found.history
    steady = [track for track in found.tracks if not track.changes]
    tables = [_changes(found)] if found.changed else []
    tables += [_steady(steady)] if 0 < len(steady) <= _LISTED else []
    notes = list(history.notes)
    if not found.changed:
        notes.append("Nothing changed.")
    if len(steady) > _LISTED:
        notes.append(f"No change in {len(steady)} series.")
    footer = (
        f"{len(history.entries)} runs in order of {_ORDERS[history.order]}. Exact metrics change "
        "where the value does; overhead and accuracy where the level of the series does, by a "
        "rule that finds a change in fewer than 1 of 100 series that have none.",
    )
    title, lines = f"History of {folder}", tuple(found.lines())
    return Report(
        "history", title, "", tuple(notes), tuple(tables), footer, (*notes, *footer), lines
    )


def _changes(found: HistoryReport) -> Table:
    notes = Footnotes()
    rows = []
    for track in found.changed:
        for change in track.changes:
            origin = found.origin(track, change)
            marks = notes.add(*_notes(track, change, origin))
            rows.append(_row(track, change, origin, marks))
    return Table("Changes", _CHANGES, tuple(rows), footnotes=notes.texts)


def _row(
    track: Track, change: ChangePoint, origin: ChangeOrigin, marks: tuple[int, ...]
) -> tuple[Cell, ...]:
    metric = track.series.metric
    figures = [format_value(metric, value) for value in (change.before, change.after)]
    size = ""
    if change.difference is not None:
        interval = _interval(metric, change.low, change.high)
        size = format_difference(metric, change.difference) + interval
    commit = origin.first.commit
    first = f"{origin.first.label} {commit.subject}" if commit else origin.first.label
    texts = (track.series.case, metric, *figures, size, first)
    worse = is_worse(metric, change.before, change.after)
    cells = [Cell(text, bold=worse and at == 4) for at, text in enumerate(texts)]
    return (*cells, Cell("" if origin.is_certain else _range(origin), notes=marks))


def _interval(metric: str, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return ""
    return f" [{format_difference(metric, low)}, {format_difference(metric, high)}]"


def _range(origin: ChangeOrigin) -> str:
    if origin.commits is None:
        return origin.range
    return f"{origin.range} ({origin.commits} commit{'s' * (origin.commits != 1)})"


def _notes(track: Track, change: ChangePoint, origin: ChangeOrigin) -> Iterator[str]:
    if change.note:
        yield f"Versions changed as well: {change.note}."
    if origin.gaps:
        shown = "; ".join(f"{entry.label} {reason}" for entry, reason in origin.gaps[:_GAPS])
        rest = len(origin.gaps) - _GAPS
        more = f"; and {rest} more" if rest > 0 else ""
        yield f"Runs between without a value: {shown}{more}."
    groups = {point.run: point.reading.group for point in track.series.points}
    if name := group_names(track.series.groups)[groups[change.first_after]]:
        yield f"Seen on {name}; values of other machines or versions are not compared with it."


def _steady(tracks: list[Track]) -> Table:
    rows = []
    for track in tracks:
        last = track.series.points[-1]
        metric = track.series.metric
        interval = _interval(metric, last.reading.low, last.reading.high)
        text = format_value(metric, last.value) + interval
        texts = (track.series.case, metric, str(len(track.series.points)), text)
        rows.append(tuple(Cell(text) for text in texts))
    return Table("No change", _STEADY, tuple(rows))
