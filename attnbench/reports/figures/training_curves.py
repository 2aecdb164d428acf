"""Figures of a run's accuracies: training curves, and a forest plot of paired differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite, isinf
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from attnbench.errors import RequestError
from attnbench.reports.figures.figure_files import (
    BLUE,
    CHARACTER,
    PLAIN,
    SMALL,
    blank,
    save,
    style_axes,
    style_legend,
)
from attnbench.reports.tables.accuracy_results import PairedTrainings, read_trainings
from attnbench.reports.tables.case_results import Records
from attnbench.suites.planned import PlannedTable
from attnbench.suites.schema import Suite

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Epoch = Mapping[str, float]
Row = tuple[str, Sequence[float], float, float, float]

_FEW = 20
"""Number of epochs below which a curve has a marker at each epoch."""


def write_plots(
    suite: Suite, tables: Sequence[PlannedTable], records: Records, folder: Path
) -> list[Path]:
    """Write ``differences.png`` and ``curves.png`` if a run has accuracies; return the paths."""
    measured = {label: pair for label, pair in _results(tables, records) if pair.own}
    if not measured:
        return []
    title = suite.suite.title
    rows = [
        (label, pair.differences(), found.mean, found.low, found.high)
        for label, pair in measured.items()
        if not pair.is_plain and (found := pair.difference())
    ]
    written = [save(draw_differences(rows, title), folder / "differences.png")] if rows else []
    curves = {
        label: [curve for _, record in sorted(pair.own.items()) if (curve := _curve(record))]
        for label, pair in measured.items()
    }
    drawn = {label: seeds for label, seeds in curves.items() if seeds}
    return [*written, *([save(draw_curves(drawn, title), folder / "curves.png")] if drawn else [])]


def _curve(record: Mapping[str, Any]) -> Sequence[Epoch]:
    return (record.get("training") or {}).get("curve") or ()


def _results(
    tables: Sequence[PlannedTable], records: Records
) -> Iterator[tuple[str, PairedTrainings]]:
    for table in tables:
        for row, results in zip(table.rows, read_trainings(table.rows, records), strict=True):
            for case, pair in zip(row.cases, results, strict=False):
                more = f" ({case.module})" if len(results) > 1 else ""
                yield f"{row.label}{more}", pair


def draw_curves(curves: Mapping[str, Sequence[Sequence[Epoch]]], title: str) -> Figure:
    """Draw the loss and, if available, the test top-1 over epochs.

    Each seed has a thin line. A thick line shows their mean, over the epochs that all seeds have.

    Args:
        curves: variant -> seeds -> epochs with ``epoch``, ``loss`` and, where tested, ``top1`` (%).
        title: the title of the figure.

    Raises:
        RequestError: there is no epoch, or an epoch lacks ``epoch`` or ``loss``.
    """
    _check(curves)
    tested = any("top1" in epoch for seeds in curves.values() for seed in seeds for epoch in seed)
    panels = [("loss", "training loss")] + [("top1", "test top-1, %")] * tested
    width = 1.0 + 5.5 * len(panels)
    each = 0.6 + CHARACTER * max(map(len, curves))
    columns = max(1, min(len(curves), int(width / each)))
    figure = blank(width, 4.6 + 0.2 * -(-len(curves) // columns), title)
    grid = figure.subplots(1, len(panels), sharex=True, squeeze=False)[0]
    means = [
        _draw_panel(axes, curves, key, name) for axes, (key, name) in zip(grid, panels, strict=True)
    ]
    legend = figure.legend(
        means[0],
        list(curves),
        loc="outside lower center",
        ncols=columns,
        fontsize=PLAIN,
        title="thick: mean of the seeds; thin: each seed",
        title_fontsize=SMALL,
    )
    style_legend(legend)
    return figure


def draw_differences(rows: Sequence[Row], title: str) -> Figure:
    """Draw the paired differences to the plain backbone, one row per variant, with a line at zero.

    A dot marks each seed, a diamond the mean, a bar the interval; an infinite bound is drawn as an
    arrow out of the figure. NaN values are left out.

    Args:
        rows: label, difference of each seed, mean, low, high; in percentage points of top-1.
        title: the title of the figure.

    Raises:
        RequestError: there is no row.
    """
    if not rows:
        raise RequestError("draw_differences() needs at least one row: got none.")
    longest = max(len(row[0]) for row in rows)
    figure = blank(7.5 + CHARACTER * longest, 1.7 + 0.45 * len(rows), title)
    axes = figure.subplots()
    limits = _extent(rows)
    for at, row in enumerate(rows):
        _draw_row(axes, at, row, limits)
    _finish_forest(axes, rows, limits)
    return figure


def _check(curves: Mapping[str, Sequence[Sequence[Epoch]]]) -> None:
    arms = [(arm, *seed) for arm, seeds in curves.items() for seed in enumerate(seeds)]
    epochs = [(arm, number, epoch) for arm, number, seed in arms for epoch in seed]
    if not epochs:
        raise RequestError("draw_curves() needs at least one epoch: got none.")
    for arm, number, epoch in epochs:
        if "epoch" not in epoch or "loss" not in epoch:
            raise RequestError(
                f"{arm}, seed {number}: an epoch lacks epoch or loss: got "
                f"{', '.join(epoch) or 'nothing'}. Give both."
            )


def _draw_panel(
    axes: Axes, curves: Mapping[str, Sequence[Sequence[Epoch]]], key: str, name: str
) -> list[Any]:
    """Draw one quantity of all arms, and return the lines of the means."""
    means = []
    for seeds, color in zip(curves.values(), _colors(len(curves)), strict=True):
        lines = [{epoch["epoch"]: epoch[key] for epoch in seed if key in epoch} for seed in seeds]
        lines = [line for line in lines if line]
        for line in lines:
            axes.plot(*_points(line), color=color, linewidth=0.7, alpha=0.5, **_marks(line, 2))
        mean = _mean(lines)
        means += axes.plot(*_points(mean), color=color, linewidth=2.2, **_marks(mean, 4))
    style_axes(axes, name, x="epoch", grid="both")
    axes.locator_params(axis="x", integer=True)
    return means


def _mean(lines: Sequence[Mapping[float, float]]) -> dict[float, float]:
    """Return the mean over seeds at their common epochs."""
    shared = set(lines[0]).intersection(*lines[1:]) if lines else set()
    return {epoch: fmean(line[epoch] for line in lines) for epoch in sorted(shared)}


def _points(line: Mapping[float, float]) -> tuple[list[float], list[float]]:
    epochs = sorted(line)
    # infinite values become NaN: a gap in the line, without effect on the axis limits
    return epochs, [line[epoch] if isfinite(line[epoch]) else float("nan") for epoch in epochs]


def _marks(line: Mapping[float, float], size: int) -> dict[str, Any]:
    """Return the marker style; short curves need markers, as a single epoch has no line."""
    return {"marker": "o", "markersize": size} if len(line) < _FEW else {}


def _colors(count: int) -> list[Any]:
    from matplotlib import colormaps

    few, many = colormaps["tab10"], colormaps["turbo"]
    return [few(at) if count <= 10 else many(0.03 + 0.94 * at / (count - 1)) for at in range(count)]


def _extent(rows: Sequence[Row]) -> tuple[float, float]:
    """Return axis limits that include zero and every finite value, with a margin."""
    values = [0.0]
    for _, differences, *estimate in rows:
        values += [value for value in (*differences, *estimate) if isfinite(value)]
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 1.0
    return low - room, high + room


def _draw_row(axes: Axes, at: int, row: Row, limits: tuple[float, float]) -> None:
    _, differences, mean, low, high = row
    dots = [value for value in differences if isfinite(value)]
    axes.scatter(dots, [at + 0.22] * len(dots), s=14, color="0.45", alpha=0.7, linewidths=0)
    if not isfinite(mean):
        return
    arrow = {"arrowstyle": "-|>", "color": BLUE, "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
    for bound, edge in ((low, limits[0]), (high, limits[1])):
        if isinf(bound):
            axes.annotate("", (edge, at), (mean, at), arrowprops=arrow)
        elif isfinite(bound):
            axes.plot([mean, bound], [at, at], color=BLUE, linewidth=2, solid_capstyle="butt")
            axes.plot([bound], [at], "|", color=BLUE, markersize=9, markeredgewidth=2)
    axes.plot([mean], [at], "D", color=BLUE, markersize=6, zorder=3)


def _finish_forest(axes: Axes, rows: Sequence[Row], limits: tuple[float, float]) -> None:
    """Add the zero line, the labels on the left and the numbers on the right."""
    quantity = "top-1 minus that of the plain backbone, percentage points"
    style_axes(axes, x=f"{quantity}\n(diamond: mean; bar: interval; dots: seeds)", grid="x")
    axes.axvline(0.0, color="0.2", linewidth=1, linestyle="--", zorder=1)
    axes.set_xlim(*limits)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=PLAIN, parse_math=False)
    for at, row in enumerate(rows):
        axes.text(
            *(1.02, at, _numbers(row)),
            transform=axes.get_yaxis_transform(),
            fontsize=PLAIN,
            verticalalignment="center",
        )


def _numbers(row: Row) -> str:
    """Return mean and interval as ``"+0.42 [−0.10, +0.94]"``."""
    if not isfinite(row[2]):
        return "no estimate"
    mean, low, high = (_number(value) for value in row[2:])
    return f"{mean} [{low}, {high}]"


def _number(value: float) -> str:
    if isfinite(value):
        return f"{value:+.2f}".replace("-", "−")
    return "–" if value != value else "−∞" if value < 0 else "+∞"
