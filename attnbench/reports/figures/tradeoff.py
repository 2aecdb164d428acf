"""Figure of accuracy against cost: points with intervals, the Pareto front, the plain network."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

from attnbench.errors import RequestError, unknown
from attnbench.reports.figures.axis_scales import (
    Mark,
    clip_interval,
    limits_of,
    scale_axis,
    split_at_fence,
)
from attnbench.reports.figures.family_styles import (
    PLAIN_NETWORK,
    WIDER,
    add_family_legend,
    style_of,
)
from attnbench.reports.figures.figure_files import (
    CHARACTER,
    LARGE,
    SINGLE,
    blank,
    style_axes,
)
from attnbench.reports.figures.label_placement import place_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 2.6
_LINE = 6 * 1.25 / 72
_PALE = 0.35
_WIDTH = int(SINGLE / CHARACTER * 0.85)
"""Characters of a line of notes."""


@dataclass(frozen=True)
class TradeoffPoint:
    """A network with its cost and its accuracy, both in comparison with the plain network."""

    name: str
    family: str
    """Family of the module, ``plain`` or ``wider``."""
    cost: Mark
    """Low, middle and high cost; less is better."""
    gain: Mark
    """Low, middle and high difference of accuracy, in points; more is better."""


@dataclass(frozen=True)
class TradeoffPanel:
    """The points of one pair of axes."""

    points: Sequence[TradeoffPoint]
    x: str
    """Label of the axis of cost."""
    y: str
    """Label of the axis of accuracy."""
    missing: Sequence[str] = ()
    """Names of networks that lack one of the two."""
    limit: float | None = None
    """Cost at which a vertical line is drawn."""


def pareto_front(points: Iterable[TradeoffPoint]) -> list[TradeoffPoint]:
    """Return the points to which no other is better in both cost and accuracy, cheapest first.

    Middle values decide; :func:`is_beaten` respects the intervals.
    """
    front: list[TradeoffPoint] = []
    for point in sorted(points, key=lambda point: (point.cost[1], -point.gain[1])):
        if not front or point.gain[1] > front[-1].gain[1]:
            front.append(point)
    return front


def is_beaten(point: TradeoffPoint, points: Iterable[TradeoffPoint]) -> bool:
    """Return whether another point is cheaper and more accurate beyond the intervals of both."""
    return any(other.cost[2] < point.cost[0] and other.gain[0] > point.gain[2] for other in points)


def draw_tradeoff(
    panels: Sequence[TradeoffPanel], title: str, labels: Collection[str] = ()
) -> Figure:
    """Draw accuracy over cost, each panel as wide as a column of a paper.

    Families have a color and a marker. The gray staircase is the Pareto front of the middle values,
    with the plain network at the origin (:func:`pareto_front`); points that another one beats in
    both respects beyond the intervals of both are pale (:func:`is_beaten`), so that all others may
    be on the front. Intervals are thin lines, cut by the frame. Networks whose accuracy is an
    outlier below the others (:func:`lower_fence`) stand at the lower edge with an arrow, and below
    the panel with their values. Names are written at the front and where ``labels`` asks for them.

    Raises:
        RequestError: there is no point but the plain network's, or no network of a label.
    """
    names = {point.name for panel in panels for point in panel.points}
    if not any(point.family != PLAIN_NETWORK for panel in panels for point in panel.points):
        raise RequestError("nothing to draw: got no network with both a cost and an accuracy.")
    for label in labels:
        if label not in names:
            raise unknown("--label", label, names)
    notes = [_notes(panel) for panel in panels]
    lines = max(note.count("\n") + 1 for note in notes)
    figure = blank(SINGLE * len(panels), _HEIGHT + _LINE * (lines + 4), title, LARGE)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel, note in zip(grid, panels, notes, strict=True):
        _draw_points(axes, panel, note)
    families = [point.family for panel in panels for point in panel.points]
    add_family_legend(figure, families, 4 * len(panels))
    figure.draw_without_rendering()  # the layout, which positions in pixels follow
    for axes, panel in zip(grid, panels, strict=True):
        _label(axes, panel, labels)
    return figure


def _draw_points(axes: Axes, panel: TradeoffPanel, note: str) -> None:
    inside, below = _split(panel.points)
    style_axes(axes, x=f"{panel.x}\n{note}" if note else panel.x, y=panel.y)
    scale_axis(axes, "x", (point.cost[1] for point in panel.points))
    axes.set_xlim(*_cost_limits(axes, panel))
    axes.set_ylim(*limits_of(point.gain for point in inside))
    axes.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    axes.axvline(0, color="0.8", linewidth=0.6, zorder=0)
    if panel.limit is not None:
        axes.axvline(panel.limit, color="0.4", linewidth=0.6, linestyle=":", zorder=0)
    _draw_front(axes, pareto_front(inside))
    for point in inside:
        _draw_point(axes, point, pale=is_beaten(point, panel.points))
    for point in below:
        _draw_below(axes, point)


def _split(points: Sequence[TradeoffPoint]) -> tuple[list[TradeoffPoint], list[TradeoffPoint]]:
    """Return the points on the axis of accuracy, and the outliers below it."""
    on_axis = set(split_at_fence([point.gain for point in points])[0])
    inside = [point for point in points if point.gain in on_axis]
    return inside, [point for point in points if point.gain not in on_axis]


def _cost_limits(axes: Axes, panel: TradeoffPanel) -> tuple[float, float]:
    """Return limits with every middle value, a little beyond them on the axis's own scale."""
    costs = [0.0, *(point.cost[1] for point in panel.points)]
    if panel.limit is not None:
        costs.append(panel.limit)
    scale = axes.xaxis.get_transform()
    low, high = (float(scale.transform([end])[0]) for end in (min(costs), max(costs)))
    room = 0.07 * (high - low) or 1.0
    back = scale.inverted()
    return float(back.transform([low - room])[0]), float(back.transform([high + room])[0])


def _draw_front(axes: Axes, front: Sequence[TradeoffPoint]) -> None:
    costs = [point.cost[1] for point in front]
    gains = [point.gain[1] for point in front]
    costs.append(axes.get_xlim()[1])
    axes.step(
        costs,
        [*gains, gains[-1]],
        where="post",
        color="0.6",
        linewidth=0.9,
        zorder=1,
        label="front",
    )


def _draw_point(axes: Axes, point: TradeoffPoint, *, pale: bool) -> None:
    color, marker = style_of(point.family)
    alpha = _PALE if pale else 1.0
    x, y = point.cost[1], point.gain[1]
    for ends, mark, limits in (
        (lambda low, high: ([low, high], [y, y]), point.cost, axes.get_xlim()),
        (lambda low, high: ([x, x], [low, high]), point.gain, axes.get_ylim()),
    ):
        low, high = clip_interval(mark, limits)
        if high > low:
            axes.plot(*ends(low, high), color=color, linewidth=0.5, alpha=0.5 * alpha, zorder=2)
    size = 7 if point.family == PLAIN_NETWORK else 3.6
    face = "white" if point.family == WIDER else color
    axes.plot(
        [x], [y], marker, color=color, mfc=face, markersize=size, alpha=alpha,
        markeredgewidth=0.6, zorder=4, label=point.name,
    )  # fmt: skip


def _draw_below(axes: Axes, point: TradeoffPoint) -> None:
    color, _ = style_of(point.family)
    axes.annotate(
        "",
        (point.cost[1], 0.0),
        xytext=(point.cost[1], 0.07),
        xycoords=axes.get_xaxis_transform(),
        textcoords=axes.get_xaxis_transform(),
        arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 0.8, "mutation_scale": 5},
    )


def _label(axes: Axes, panel: TradeoffPanel, labels: Collection[str]) -> None:
    inside, _ = _split(panel.points)
    front = [point for point in pareto_front(inside) if point.family != PLAIN_NETWORK]
    named = [point for point in inside if point.name in labels and point not in front]
    place_labels(
        axes,
        [(point.name, point.cost[1], point.gain[1]) for point in (*named, *front)],
        [(point.cost[1], point.gain[1]) for point in inside],
    )


def _notes(panel: TradeoffPanel) -> str:
    """Return the lines below the axis: outliers with their values, and what is not drawn."""
    below = sorted(_split(panel.points)[1], key=lambda point: point.gain[1])
    values = (f"{point.name}\u00a0{point.gain[1]:+.1f}".replace("-", "\u2212") for point in below)
    texts = (("\u2193 below the axis", values), ("not measured", panel.missing))
    lines = ((head, ", ".join(names)) for head, names in texts)
    return "\n".join(
        fill(f"{head}: {names}", _WIDTH, break_on_hyphens=False) for head, names in lines if names
    )
