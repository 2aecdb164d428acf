"""Dot plots of several quantities: one row per module, one panel per quantity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnbench.errors import RequestError
from attnbench.reports.figures.figure_files import blank

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SMALL, _LARGE = 8, 12
_COLOR, _SECOND = "#35608d", "#c8553d"
_CHARACTER = 0.075
"""Approximate width of a character at the regular font size, in inches."""

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


def draw_panels(modules: Sequence[str], panels: Sequence[Panel], title: str) -> Figure:
    """Draw the panels, with one row per module, the first on top, and a line at zero.

    Raises:
        RequestError: there is no module or no panel.
    """
    if not modules or not panels:
        raise RequestError("nothing to draw: there is no module, or nothing was measured of any")
    longest = max(map(len, modules))
    figure = blank(0.5 + 2.6 * len(panels) + _CHARACTER * longest, 1.4 + 0.21 * len(modules))
    figure.suptitle(title, fontsize=_LARGE, parse_math=False)
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, panel in zip(grid, panels, strict=True):
        _draw_panel(axes, panel, len(modules))
    grid[0].set_yticks(range(len(modules)), modules, fontsize=_SMALL, parse_math=False)
    grid[0].set_ylim(len(modules) - 0.4, -0.6)
    if any(panel.second for panel in panels):
        figure.supxlabel("filled: as written; hollow: inference form", fontsize=_SMALL)
    return figure


def _draw_panel(axes: Axes, panel: Panel, count: int) -> None:
    for at in range(0, count, 2):
        axes.axhspan(at - 0.5, at + 0.5, color="0.96", zorder=0)
    axes.axvline(0, color="0.4", linewidth=0.8, zorder=1)
    _draw_marks(axes, panel.marks, 0.0, _COLOR, filled=True)
    _draw_marks(axes, panel.second, 0.24, _SECOND, filled=False)
    if panel.linear_up_to is not None:
        axes.set_xscale("symlog", linthresh=panel.linear_up_to)
    axes.set_title(panel.title, fontsize=_SMALL + 1, parse_math=False)
    axes.tick_params(labelsize=_SMALL, left=False)
    axes.grid(axis="x", color="0.9")


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
        style: dict[str, Any] = {
            "markersize": 4.5,
            "markeredgecolor": color,
            "markerfacecolor": face,
        }
        axes.plot([middle], [at + shift], "o", zorder=3, **style)
