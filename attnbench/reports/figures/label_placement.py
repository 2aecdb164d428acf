"""Labels beside points, placed where they overlap neither points nor each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attnbench.reports.figures.figure_files import SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

Label = tuple[str, float, float]
"""Text, x, y."""

_REACH = (5, 11, 18, 26, 36)
# right comes last: the line of a Pareto front leads there
_DIRECTIONS = ((0, 1), (1, 1), (-1, 1), (0, -1), (1, -1), (-1, -1), (-1, 0), (1, 0))
_SIDES = {-1: "right", 0: "center", 1: "left"}
_ENDS = {-1: "top", 0: "center", 1: "bottom"}


def place_labels(
    axes: Axes, labels: Sequence[Label], points: Sequence[tuple[float, float]]
) -> None:
    """Write each label at the nearest free place around its point, with a line to it if far.

    The axes must have their final size and limits.

    Args:
        axes: the axes, drawn once so that positions in pixels are known.
        labels: text and point of each label, the most important first.
        points: all points that labels must not cover.
    """
    from matplotlib.transforms import Bbox

    dots = axes.transData.transform([tuple(point) for point in points])
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in dots]
    for label in labels:
        taken.append(_place(axes, label, taken))


def _place(axes: Axes, label: Label, taken: Sequence[Bbox]) -> Bbox:
    """Draw a label at its best place, and return its extent in pixels."""
    tries = [(reach, way) for reach in _REACH for way in _DIRECTIONS]
    costs: list[tuple[float, int]] = []
    for at, (reach, way) in enumerate(tries):
        text = _draw(axes, label, reach, way)
        costs.append((_cost(axes, text.get_window_extent(), taken), at))
        text.remove()
        if costs[-1][0] == 0:
            break
    extent: Bbox = _draw(axes, label, *tries[min(costs)[1]]).get_window_extent()
    return extent


def _cost(axes: Axes, box: Bbox, taken: Sequence[Bbox]) -> float:
    """Return the area in pixels that a label shares with others or has outside of the axes."""
    from matplotlib.transforms import Bbox

    inside = Bbox.intersection(box, axes.bbox)
    outside = box.width * box.height - (inside.width * inside.height if inside else 0.0)
    shared = (Bbox.intersection(box, other) for other in taken)
    return max(0.0, outside - 1e-6) + sum(both.width * both.height for both in shared if both)


def _draw(axes: Axes, label: Label, reach: int, way: tuple[int, int]) -> Any:
    from matplotlib.patheffects import withStroke

    text, *point = label
    line = {"arrowstyle": "-", "color": "0.5", "linewidth": 0.4, "shrinkA": 0, "shrinkB": 2}
    return axes.annotate(
        text,
        (point[0], point[1]),
        xytext=(way[0] * reach, way[1] * reach),
        textcoords="offset points",
        horizontalalignment=_SIDES[way[0]],  # pyright: ignore
        verticalalignment=_ENDS[way[1]],  # pyright: ignore
        fontsize=SMALL,
        parse_math=False,
        annotation_clip=False,
        arrowprops=line if reach > _REACH[0] else None,
        zorder=5,
        path_effects=[withStroke(linewidth=1.2, foreground="white")],
    )
