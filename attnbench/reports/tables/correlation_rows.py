"""Spearman's rank correlation between the counted costs of modules and their latency."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from attnbench.reports.tables.number_format import NOTHING
from attnbench.reports.tables.report import Cell
from attnbench.stats.rank_correlation import spearman

if TYPE_CHECKING:
    from attnbench.reports.tables.row_views import RowView
    from attnbench.suites.schema import Latency

RANKED = ("params", "trainable", "macs", "activations", "bytes", "delta_params", "delta_macs")
NOTE = (
    "Rank correlation: Spearman's, of a column with the overhead in a runtime, over the "
    "modules' plain forms: 1 where the column ranks the modules as time does, 0 where it says "
    "nothing of it."
)


def correlation_rows(
    views: Sequence[RowView], latency: Latency, keys: Sequence[str | None]
) -> Iterator[tuple[Cell, ...]]:
    """Yield a row for each runtime; ``keys`` has the key of each column, or None."""
    # fused forms would count a module twice, with one cost and two times
    cases = ((view, view.first.case) for view in views)
    placed = [view for view, case in cases if case.module and not case.fused]
    for number, conditions in enumerate(latency.conditions()):
        cells = [_cell(placed, number, key) for key in keys[1:]]
        if any(cell.text not in ("", NOTHING) for cell in cells):
            yield (Cell(f"rank correlation with overhead in {conditions}"), *cells)


def _cell(views: Sequence[RowView], number: int, key: str | None) -> Cell:
    if key not in RANKED:
        return Cell("")
    pairs = [
        (view.first.values[key], view.timed[number].ratio)
        for view in views
        if key in view.first.values and view.timed[number].ratio is not None
    ]
    value = spearman([(float(cost), float(ratio or 0.0)) for cost, ratio in pairs])
    return Cell(NOTHING if value is None else f"{value:.2f}")
