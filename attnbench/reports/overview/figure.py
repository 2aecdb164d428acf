"""The figure of a place: dot plots of added parameters, overhead and accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnbench.errors import RequestError
from attnbench.reports.figures.figure_files import BLUE, CHARACTER, SMALL, blank, style_axes
from attnbench.reports.overview.columns import common, network, rank, runtime_title
from attnbench.reports.overview.entries import OverviewEntry, Place
from attnbench.reports.tables.case_results import LatencyCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SECOND = "#c8553d"
_LINEAR = 10.0

Mark = tuple[float, float, float]
"""Low, middle and high value; all equal without an interval."""


@dataclass(frozen=True)
class Panel:
    """One quantity of all modules."""

    title: str
    marks: Sequence[Mark | None]
    """Marks of the modules, in order; None for a missing value."""
    second: Sequence[Mark | None] = ()
    """Marks of the inference form, drawn hollow below; empty without one."""
    linear_up_to: float | None = None
    """Upper end of the axis's linear range; beyond it, the axis is logarithmic."""


def picture(place: Place) -> Figure:
    """Return the figure of a place, in the order of its table.

    Raises:
        RequestError: there is nothing to draw.
    """
    entries = rank(place)
    names = [entry.module for entry in entries]
    return draw_panels(names, list(_panels(place, entries)), f"Attention modules at {place.name}")


def _panels(place: Place, entries: Sequence[OverviewEntry]) -> Iterator[Panel]:
    yield Panel("parameters", _params(place, entries), linear_up_to=_LINEAR)
    for setting in common(place, "latencies"):
        plain = [_percent(entry.latencies.get(setting)) for entry in entries]
        fused = [_percent(entry.fused.get(setting)) for entry in entries]
        title = f"overhead, %\n{runtime_title(place, setting)}"
        yield Panel(title, plain, fused if any(fused) else [])
    for setting in common(place, "accuracies"):
        title = f"top-1 to plain, points\n{setting.name}"
        pairs = (entry.accuracies.get(setting) for entry in entries)
        known = (pair.difference() if pair else None for pair in pairs)
        marks = [(found.low, found.mean, found.high) if found else None for found in known]
        # a module that does not learn must not hide the differences of those that do
        yield Panel(title, marks, linear_up_to=_LINEAR)


def _params(place: Place, entries: Sequence[OverviewEntry]) -> list[Mark | None]:
    results = (entry.costs.get(network(place)) for entry in entries)
    values = (result.values if result else {} for result in results)
    added = (found.get("delta_params", found.get("params")) for found in values)
    return [None if value is None else (value, value, value) for value in added]


def _percent(cell: LatencyCell | None) -> Mark | None:
    if cell is None or cell.timing is None:
        return None
    arm = cell.timing.arm
    low, middle, high = (100 * (ratio - 1) for ratio in (arm.low, arm.ratio, arm.high))
    return low, middle, high


def draw_panels(modules: Sequence[str], panels: Sequence[Panel], title: str) -> Figure:
    """Draw the panels, with one row per module, the first on top, and a line at zero.

    Raises:
        RequestError: there is no module or no panel.
    """
    if not modules or not panels:
        raise RequestError(
            f"nothing to draw: got {len(modules)} modules and {len(panels)} quantities."
        )
    longest = max(map(len, modules))
    width = 0.5 + 2.6 * len(panels) + CHARACTER * longest
    figure = blank(width, 1.4 + 0.21 * len(modules), title)
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, panel in zip(grid, panels, strict=True):
        _draw_panel(axes, panel, len(modules))
    grid[0].set_yticks(range(len(modules)), modules, fontsize=SMALL, parse_math=False)
    grid[0].set_ylim(len(modules) - 0.4, -0.6)
    if any(panel.second for panel in panels):
        figure.supxlabel("filled: as written; hollow: inference form", fontsize=SMALL)
    return figure


def _draw_panel(axes: Axes, panel: Panel, count: int) -> None:
    for at in range(0, count, 2):
        axes.axhspan(at - 0.5, at + 0.5, color="0.96", zorder=0)
    axes.axvline(0, color="0.4", linewidth=0.8, zorder=1)
    _draw_marks(axes, panel.marks, 0.0, BLUE, filled=True)
    _draw_marks(axes, panel.second, 0.24, _SECOND, filled=False)
    if panel.linear_up_to is not None:
        axes.set_xscale("symlog", linthresh=panel.linear_up_to)
    style_axes(axes, panel.title, grid="x")
    axes.tick_params(left=False)


def _draw_marks(
    axes: Axes, marks: Sequence[Mark | None], shift: float, color: str, *, filled: bool
) -> None:
    for at, mark in enumerate(marks):
        if mark is None:
            continue
        low, middle, high = mark
        if high > low:
            axes.plot([low, high], [at + shift] * 2, color=color, linewidth=1.1, zorder=2)
        face = color if filled else "white"
        axes.plot([middle], [at + shift], "o", color=color, mfc=face, markersize=4.5, zorder=3)
