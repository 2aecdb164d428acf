"""The rows of a large table to read first: the best, the worst, those without values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from attnbench.reports.tables.report import Cell, Report, Table

_ALL = 30
"""Maximum number of rows of a table that is shown whole."""
_EACH = 5
"""Number of rows of each kind."""
_WITHOUT = ("failed", "skipped")


def extract(report: Report, command: str) -> Report:
    """Return the report with large tables cut to some rows; ``command`` shows all of them."""
    return replace(report, tables=tuple(_extract(table, command) for table in report.tables))


def _extract(table: Table, command: str) -> Table:
    if len(table.rows) <= _ALL:
        return table
    kept = sorted({*_extremes(table.merits), *_without(table.rows)} or range(_ALL))
    rows = tuple(table.rows[place] for place in kept)
    note = f"{len(rows)} of {len(table.rows)} rows; all of them: {command}"
    return replace(table, rows=rows, notes=(note, *table.notes))


def _extremes(merits: Sequence[float | None]) -> list[int]:
    """Return the places of the rows with the least and the most cost."""
    known = [place for place, merit in enumerate(merits) if merit is not None]
    ranked = sorted(known, key=lambda place: merits[place] or 0.0)
    return [*ranked[:_EACH], *ranked[-_EACH:]]


def _without(rows: Sequence[tuple[Cell, ...]]) -> Iterator[int]:
    """Yield the places of the first rows that failed, and of the first that were skipped."""
    for status in _WITHOUT:
        found = (
            place for place, row in enumerate(rows) if any(cell.text == status for cell in row)
        )
        yield from (place for place, _ in zip(found, range(_EACH), strict=False))
