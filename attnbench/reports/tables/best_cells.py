"""Bold type for the best measured value of a column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from attnbench.reports.tables.columns import TRAITS
from attnbench.reports.tables.report import Cell
from attnbench.reports.tables.row_views import RowView

_WIDTHS = {"traits": len(TRAITS), "formula": 2}
Grid = list[tuple[Cell, ...]]


def embolden(rows: Grid, views: Sequence[RowView]) -> Grid:
    """Return the rows with the best value of each requested column in bold."""
    keys = column_keys(views[0])
    for number, (key, group) in enumerate(keys):
        sense = views[0].layout.best.get(key)  # type: ignore[call-overload]
        if sense is None:
            continue
        figures = [_figure(view, key, group) for view in views]
        known = [figure for figure in figures if figure is not None]
        best = (min if sense == "min" else max)(known, default=None)
        rows = [
            _bold(row, number) if best is not None and figure == best else row
            for row, figure in zip(rows, figures, strict=True)
        ]
    return rows


def column_keys(view: RowView) -> list[tuple[str, int | None]]:
    """Return the key, and the group if any, of each column except those of the runtimes."""
    keys: list[tuple[str, int | None]] = []
    for key in view.layout.columns:
        keys += [(key, None)] * _WIDTHS.get(key, 1)
    groups = view.layout.groups
    if groups is not None:
        keys += [(key, number) for number, _ in enumerate(groups.values) for key in groups.columns]
    return keys


def _figure(view: RowView, key: str, group: int | None) -> float | None:
    """Return the single value of a cell; None for a range or a cell across groups."""
    results = view.results if group is None else view.results[group : group + 1]
    if group is not None and len(view.results) == 1:
        return None
    figures = {result.values.get(key) for result in results}
    return figures.pop() if len(figures) == 1 else None


def _bold(row: tuple[Cell, ...], number: int) -> tuple[Cell, ...]:
    start = 0
    for index, cell in enumerate(row):
        if start == number and cell.span == 1:
            return (*row[:index], replace(cell, bold=True), *row[index + 1 :])
        start += cell.span
    return row
