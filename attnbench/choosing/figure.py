"""The figure of a choice: the overhead of each verified network, beside its prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnbench.choosing.answer import Answer, AnswerRow
from attnbench.reports.figures.family_styles import add_family_legend, style_of
from attnbench.reports.figures.figure_files import DOUBLE, SMALL, blank, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW = 0.2
_ENDS = 1.2


def draw_answer(answer: Answer) -> Figure:
    """Return a figure with a row for each verified network: the answers, then those over budget."""
    rows = [*answer.rows, *answer.over]
    title = f"{answer.request.backbone} in {answer.request.conditions}"
    figure = blank(DOUBLE, _ENDS + _ROW * max(len(rows), 1), title)
    axes = figure.subplots()
    style_axes(axes, x="overhead to plain (%)", grid="x")
    for place, row in enumerate(rows):
        _draw_row(axes, place, row)
    names = [f"{row.verified.candidate.module}  {row.verified.candidate.placement}" for row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=SMALL, parse_math=False)
    axes.invert_yaxis()
    axes.axvline(100 * answer.request.overhead.value, color="0.3", linestyle=":", linewidth=0.8)
    if rows:
        add_family_legend(figure, dict.fromkeys(row.family for row in rows), columns=9)
    return figure


def _draw_row(axes: Axes, place: int, row: AnswerRow) -> None:
    arm, predicted = row.verified.timing.arm, row.verified.prediction
    color, marker = style_of(row.family)
    ends = [100 * (arm.low - 1), 100 * (arm.high - 1)]
    axes.plot(ends, [place, place], color=color, linewidth=1)
    axes.plot(100 * (arm.ratio - 1), place, marker=marker, color=color, markersize=4)
    axes.plot(100 * predicted.value, place, marker="|", color="0.5", markersize=7)
