"""The figure of a place: dot plots of added costs, overhead and accuracy."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnbench.errors import RequestError, unknown
from attnbench.reports.figures.axis_scales import (
    Mark,
    clip_interval,
    limits_of,
    lower_fence,
    scale_axis,
)
from attnbench.reports.figures.family_styles import UNDECLARED, add_family_legend, style_of
from attnbench.reports.figures.figure_files import (
    CHARACTER,
    DOUBLE,
    LARGE,
    SMALL,
    blank,
    style_axes,
)
from attnbench.reports.overview.columns import common, network, rank, runtime_title
from attnbench.reports.overview.entries import OverviewEntry, Place
from attnbench.reports.overview.tradeoff import BUDGET_LINE, draw_tradeoff_at, gain_of, overhead_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURES = ("modules", "overhead", "macs", "params")
"""Names of the figures of a place."""
_ROW = 0.145
_HOLLOW = 0.26
_LEGEND_COLUMNS = 9
_FORMS = "filled: as written; hollow: inference form"
_TICKS = 4


@dataclass(frozen=True)
class Panel:
    """One quantity of all modules."""

    title: str
    marks: Sequence[Mark | None]
    """Marks of the modules, in order; None for a missing value."""
    second: Sequence[Mark | None] = ()
    """Marks of the inference form, drawn hollow below; empty without one."""
    limit: float | None = None
    """Value at which a dotted line is drawn."""
    outliers: bool = False
    """Whether values far below the others stand at the edge, with an arrow, off the axis."""


def draw_figure(place: Place, name: str = "modules", labels: Collection[str] = ()) -> Figure:
    """Return a figure of a place.

    Args:
        place: the modules with their results.
        name: ``modules``, a row for each in the order of the table; or ``overhead``, ``macs`` or
            ``params``, against which the accuracies are drawn.
        labels: modules to name in a figure of accuracies.

    Raises:
        RequestError: there is no such figure, no such module, or nothing to draw.
    """
    if name not in FIGURES:
        raise unknown("--figure", name, FIGURES)
    if name != "modules":
        return draw_tradeoff_at(place, name, labels)
    if labels:
        raise RequestError(
            f"--label names modules in a figure of accuracies: got {', '.join(labels)} for one "
            f"that names all. Give --figure {', '.join(FIGURES[1:])} as well."
        )
    entries = rank(place)
    names = [entry.module for entry in entries]
    families = [entry.card.get("family") or UNDECLARED for entry in entries]
    title = f"Attention modules at {place.name}"
    return draw_panels(names, list(_panels(place, entries)), title, families)


def _panels(place: Place, entries: Sequence[OverviewEntry]) -> Iterator[Panel]:
    for key, title in (("params", "parameters"), ("macs", "MACs")):
        yield Panel(f"added {title}", _counts(place, entries, key))
    for setting in common(place, "latencies"):
        plain = [overhead_of(entry.latencies.get(setting)) for entry in entries]
        fused = [overhead_of(entry.fused.get(setting)) for entry in entries]
        title = f"overhead, %\n{runtime_title(place, setting)}"
        yield Panel(title, plain, fused if any(fused) else [], limit=BUDGET_LINE)
    for setting in common(place, "accuracies"):
        title = f"top-1 to plain, points\n{setting.name}"
        yield Panel(
            title, [gain_of(entry.accuracies.get(setting)) for entry in entries], outliers=True
        )


def _counts(place: Place, entries: Sequence[OverviewEntry], key: str) -> list[Mark | None]:
    results = (entry.costs.get(network(place)) for entry in entries)
    values = (result.values if result else {} for result in results)
    added = (found.get(f"delta_{key}", found.get(key)) for found in values)
    return [None if value is None else (value, value, value) for value in added]


def draw_panels(
    modules: Sequence[str], panels: Sequence[Panel], title: str, families: Sequence[str]
) -> Figure:
    """Draw the panels, with one row per module, the first on top, and a line at zero.

    An axis with values that dwarf the others is symmetrically logarithmic. Colors are those of the
    modules' ``families``, which a legend names.

    Raises:
        RequestError: there is no module or no panel.
    """
    if not modules or not panels:
        raise RequestError(
            f"nothing to draw: got {len(modules)} modules and {len(panels)} quantities."
        )
    longest = max(map(len, modules))
    width = max(DOUBLE, 0.85 * len(panels) + CHARACTER * longest)
    figure = blank(width, 1.3 + _ROW * len(modules), title, LARGE)
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, panel in zip(grid, panels, strict=True):
        _draw_panel(axes, panel, families)
    grid[0].set_yticks(range(len(modules)), modules, fontsize=SMALL, parse_math=False)
    grid[0].set_ylim(len(modules) - 0.4, -0.6)
    hollow = any(panel.second for panel in panels)
    add_family_legend(figure, families, _LEGEND_COLUMNS, _FORMS if hollow else "")
    return figure


def _draw_panel(axes: Axes, panel: Panel, families: Sequence[str]) -> None:
    for at in range(0, len(families), 2):
        axes.axhspan(at - 0.5, at + 0.5, color="0.96", zorder=0)
    axes.axvline(0, color="0.4", linewidth=0.6, zorder=1)
    if panel.limit is not None:
        axes.axvline(panel.limit, color="0.4", linewidth=0.6, linestyle=":", zorder=1)
    known = [mark for mark in (*panel.marks, *panel.second) if mark]
    fence = lower_fence([mark[1] for mark in known]) if panel.outliers else float("-inf")
    style_axes(axes, panel.title, grid="x")
    axes.tick_params(left=False)
    if panel.outliers:
        axes.set_xlim(*limits_of(mark for mark in known if mark[1] >= fence))
    else:
        scale_axis(axes, "x", (mark[1] for mark in known), _TICKS)
    for marks, shift, hollow in ((panel.marks, 0.0, False), (panel.second, _HOLLOW, True)):
        for at, mark in enumerate(marks):
            if mark and mark[1] >= fence:
                _draw_mark(axes, mark, at + shift, families[at], hollow=hollow)
            elif mark:
                _draw_outlier(axes, mark[1], at + shift, families[at])


def _draw_mark(axes: Axes, mark: Mark, at: float, family: str, *, hollow: bool) -> None:
    color, marker = style_of(family)
    if mark[2] > mark[0]:
        ends = clip_interval(mark, axes.get_xlim())
        axes.plot(ends, [at] * 2, color=color, linewidth=0.8, zorder=2)
    face = "white" if hollow else color
    axes.plot([mark[1]], [at], marker, color=color, mfc=face, markersize=3, mew=0.7, zorder=3)


def _draw_outlier(axes: Axes, value: float, at: float, family: str) -> None:
    """Draw an arrow out of the left edge, and the value beside it."""
    color, _ = style_of(family)
    axes.annotate(
        f"{value:.0f}".replace("-", "\u2212"),
        (0.0, at),
        xytext=(9, 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        verticalalignment="center",
        fontsize=SMALL,
        color=color,
        arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 0.8, "mutation_scale": 5},
    )
