"""A history as tables: the changes with their commits, then what did not change."""

from __future__ import annotations

from collections.abc import Iterator

from attnbench.regression.history import value_format
from attnbench.regression.history.changes import ChangePoint, Track
from attnbench.regression.history.report_data import ChangeOrigin, HistoryReport, group_names
from attnbench.reports.tables.report import Cell, Column, Report, Table

_LISTED = 30
"""So many series without a change are listed; of more, only how many there are is said."""
_GAPS = 3
_CHANGES = (
    Column("Case"),
    Column("Metric"),
    Column("Before", numeric=True),
    Column("After", numeric=True),
    Column("Change", "95% interval", numeric=True),
    Column("First commit after"),
    Column("May be any of"),
)
_STEADY = (
    Column("Case"),
    Column("Metric"),
    Column("Runs", numeric=True),
    Column("Last value", "95% interval", numeric=True),
)
_ORDERS = {"git": "commits", "date": "date", "name": "folder name"}


def report(found: HistoryReport, folder: str) -> Report:
    """Return a history as a report; its lines hold every value."""
    history = found.history
    steady = [one for one in found.tracks if not one.changes]
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
    title = f"History of {folder}"
    return Report(
        "history", title, "", "", tuple(notes), tuple(tables), footer, tuple(found.lines())
    )


def _changes(found: HistoryReport) -> Table:
    rows, notes = [], list[str]()
    for one in found.changed:
        for change in one.changes:
            origin = found.origin(one, change)
            marks = []
            for note in _notes(one, change, origin):
                if note not in notes:
                    notes.append(note)
                marks.append(notes.index(note) + 1)
            rows.append(_row(one, change, origin, tuple(marks)))
    return Table("Changes", _CHANGES, tuple(rows), footnotes=tuple(notes))


def _row(
    one: Track, change: ChangePoint, origin: ChangeOrigin, marks: tuple[int, ...]
) -> tuple[Cell, ...]:
    metric = one.series.metric
    worse = value_format.is_worse(metric, change.before, change.after)
    texts = (
        one.series.case,
        metric,
        value_format.text(metric, change.before),
        value_format.text(metric, change.after),
        _difference(metric, change),
        _commit(origin),
    )
    cells = [Cell(text, bold=worse and at == 4) for at, text in enumerate(texts)]
    return (*cells, Cell("" if origin.is_certain else _range(origin), notes=marks))


def _difference(metric: str, change: ChangePoint) -> str:
    if change.difference is None:
        return ""
    return value_format.difference(metric, change.difference) + _interval(
        metric, change.low, change.high
    )


def _interval(metric: str, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return ""
    return f" [{value_format.difference(metric, low)}, {value_format.difference(metric, high)}]"


def _commit(origin: ChangeOrigin) -> str:
    commit = origin.first.commit
    return f"{origin.first.label} {commit.subject}" if commit else origin.first.label


def _range(origin: ChangeOrigin) -> str:
    if origin.commits is None:
        return origin.range
    return f"{origin.range} ({origin.commits} commit{'s' * (origin.commits != 1)})"


def _notes(one: Track, change: ChangePoint, origin: ChangeOrigin) -> Iterator[str]:
    """Yield what must be known beside a change."""
    if change.note:
        yield f"Versions changed as well: {change.note}."
    if origin.gaps:
        shown = "; ".join(f"{entry.label} {reason}" for entry, reason in origin.gaps[:_GAPS])
        rest = len(origin.gaps) - _GAPS
        more = f"; and {rest} more" if rest > 0 else ""
        yield f"Runs between without a value: {shown}{more}."
    group = next(
        (point.reading.group for point in one.series.points if point.run == change.first_after), ()
    )
    if name := group_names(one.series.groups)[group]:
        yield f"Seen on {name}; values of other machines or versions are not compared with it."


def _steady(tracks: list[Track]) -> Table:
    rows = []
    for one in tracks:
        last = one.series.points[-1]
        metric = one.series.metric
        interval = _interval(metric, last.reading.low, last.reading.high)
        text = value_format.text(metric, last.value) + interval
        texts = (one.series.case, metric, str(len(one.series.points)), text)
        rows.append(tuple(Cell(text) for text in texts))
    return Table("No change", _STEADY, tuple(rows))
