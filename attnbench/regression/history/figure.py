"""Figure of series over runs: values with intervals, levels, change points. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attnbench.errors import RequestError
from attnbench.regression.history.changes import ChangePoint, Track
from attnbench.regression.history.metric_values import (
    OVERHEAD,
    STATUS,
    Group,
    display_value,
    format_difference,
    is_worse,
    metric_unit,
)
from attnbench.regression.history.report_data import HistoryReport, group_names
from attnbench.regression.history.series import Point
from attnbench.reports.figures.figure_files import (
    BLUE,
    DOUBLE,
    PLAIN,
    SMALL,
    blank,
    style_axes,
    style_legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANELS = 12
_TICKS = 16
_WORSE, _BETTER = "#b2182b", "#1b7837"
_COLORS = (BLUE, "#e08214", "#5aae61", "#762a83", "#7f7f7f")
_MARKS = "osD^v"


def draw_history(found: HistoryReport, title: str) -> Figure:
    """Draw each series as a panel, those with changes first; all share the axis of runs.

    Dots are values with their 95% intervals, in one color for each machine and set of versions;
    horizontal lines are levels. A vertical line marks a change, before the first run after it, red
    if the change is for the worse, with its size and commit. Small crosses at the foot are runs
    without a value. At most twelve series are drawn.

    Raises:
        RequestError: there is no series of numbers.
    """
    shown, rest = _shown(found.tracks)
    columns = 1 if len(shown) < 5 else 2
    rows = -(-len(shown) // columns)
    figure = blank(DOUBLE, 0.9 + 1.6 * rows, title + rest)
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False).ravel()
    for axes, track in zip(grid, shown, strict=False):
        _draw_panel(axes, found, track, 100 // columns)
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    for axes in grid[max(0, len(shown) - columns) : len(shown)]:
        _name_runs(axes, found)
    return figure


def _shown(tracks: Sequence[Track]) -> tuple[list[Track], str]:
    """Return the tracks to draw, and a note on the rest.

    A constant count is not informative as a picture: it is drawn only if there is nothing else.
    """
    numbers = [track for track in tracks if track.series.metric != STATUS]
    if not numbers:
        raise RequestError("no value to draw: the chosen series hold no numbers")
    moving = [track for track in numbers if track.changes or not track.series.is_exact]
    shown = sorted(moving or numbers, key=lambda track: not track.changes)[:_PANELS]
    rest = len(numbers) - len(shown)
    return shown, f"   ({rest} further series without a picture)" if rest else ""


def _draw_panel(axes: Axes, found: HistoryReport, track: Track, characters: int) -> None:
    metric, case = track.series.metric, track.series.case
    case = case if len(case) <= characters else f"…{case[1 - characters :]}"
    names = group_names(track.series.groups)
    for at, group in enumerate(track.series.groups):
        _draw_group(axes, track, group, at, names[group])
    _fit(axes, track)
    for change in track.changes:
        _draw_change(axes, found, track, change)
    if track.series.gaps:
        foot = axes.get_xaxis_transform()
        gaps = sorted(track.series.gaps)
        axes.plot(gaps, [0.03] * len(gaps), "x", color="0.5", markersize=3, transform=foot)
    heading = f"{case}   {metric}"
    name = "overhead" if metric == OVERHEAD else metric_unit(metric).split(" of ")[0] or metric
    style_axes(axes, heading, y=name, grid="y", loc="left")
    _number_format(axes, metric)
    if len(names) > 1:
        style_legend(axes.legend(fontsize=SMALL, loc="best"))


def _draw_group(axes: Axes, track: Track, group: Group, at: int, name: str) -> None:
    points = track.series.of_group(group)
    color = _COLORS[at % len(_COLORS)]
    runs = [point.run for point in points]
    values = [_outward(track, point.number) for point in points]
    if track.series.is_exact:
        axes.plot(runs, values, color=color, linewidth=1.2, drawstyle="steps-mid")
    axes.errorbar(
        runs,
        values,
        yerr=_reaches(track, points),
        fmt=_MARKS[at % len(_MARKS)],
        color=color,
        ecolor=color,
        markersize=2.5,
        elinewidth=0.6,
        alpha=0.9,
        label=name or None,
    )
    for segment in track.segments:
        if segment.group == group:
            level = _outward(track, segment.mean)
            ends = (segment.first - 0.4, segment.last + 0.4)
            axes.plot(ends, (level, level), color=color, linewidth=1.4, alpha=0.55)


def _reaches(track: Track, points: Sequence[Point]) -> Any:
    """Return the lengths of the intervals down and up, (2, points); None for exact metrics."""
    if track.series.is_exact:
        return None
    found = []
    for point in points:
        value, own = _outward(track, point.number), point.reading
        ends = [_outward(track, end) if end is not None else value for end in (own.low, own.high)]
        found.append([max(0.0, value - ends[0]), max(0.0, ends[1] - value)])
    return np.array(found).T


def _fit(axes: Axes, track: Track) -> None:
    """Leave room for the labels above the points, and for the crosses below them."""
    low, high = axes.get_ylim()
    if track.series.is_exact and len({point.value for point in track.series.points}) == 1:
        value = track.series.points[0].number
        room = max(1.0, 0.02 * abs(value))
        low, high = value - room, value + room
    size = high - low
    axes.set_ylim(low - 0.08 * size, high + (0.28 if track.changes else 0.08) * size)


def _draw_change(axes: Axes, found: HistoryReport, track: Track, change: ChangePoint) -> None:
    metric, entry = track.series.metric, found.history.entries[change.first_after]
    worse = is_worse(metric, change.before, change.after)
    color = _WORSE if worse else _BETTER
    place = change.first_after - 0.5
    axes.axvline(place, color=color, linewidth=1.1, linestyle="--", zorder=1)
    if change.surely_after - 1 > change.last_before:
        ends = change.last_before + 0.5, change.surely_after - 0.5
        axes.axvspan(*ends, color=color, alpha=0.08, linewidth=0, zorder=0)
    size = format_difference(metric, change.difference) if change.difference is not None else ""
    late = change.first_after > 0.7 * len(found.history.entries)
    axes.annotate(
        f"{size}\n{entry.label}",
        (place, 1.0),
        xycoords=axes.get_xaxis_transform(),
        xytext=(-4 if late else 4, -3),
        textcoords="offset points",
        horizontalalignment="right" if late else "left",
        verticalalignment="top",
        fontsize=SMALL,
        color=color,
        parse_math=False,
    )


def _name_runs(axes: Axes, found: HistoryReport) -> None:
    """Write the commits below the axis, no more than are legible."""
    labels = _run_labels(found)
    step = -(-len(labels) // _TICKS)
    places = range(0, len(labels), step)
    names = [label if len(label) <= 16 else f"…{label[-15:]}" for label in labels[::step]]
    axes.tick_params(axis="x", labelbottom=True)
    axes.set_xticks(places, names, rotation=45, ha="right", fontsize=SMALL, parse_math=False)
    axes.set_xlim(-0.7, len(labels) - 0.3)
    order = {"git": "commit", "date": "run, by date", "name": "run, by folder"}
    axes.set_xlabel(order[found.history.order], fontsize=PLAIN)


def _run_labels(found: HistoryReport) -> list[str]:
    """Return the commits, with the date of the run where a commit repeats."""
    entries = found.history.entries
    counts = Counter(entry.label for entry in entries)
    return [
        f"{entry.label[:7]} {entry.date[5:10]}"
        if counts[entry.label] > 1 and entry.date
        else entry.label
        for entry in entries
    ]


def _number_format(axes: Axes, metric: str) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

    if metric == OVERHEAD:
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0))
    elif not metric_unit(metric).startswith("points"):
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _outward(track: Track, value: float) -> float:
    return float(display_value(track.series.metric, value))
