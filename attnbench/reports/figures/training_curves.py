"""Figures of a run's accuracies: training curves, and a forest plot of paired differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from statistics import fmean
from typing import TYPE_CHECKING, Any

from attnbench.errors import RequestError
from attnbench.reports.figures.axis_scales import lower_fence
from attnbench.reports.figures.family_styles import (
    PLAIN_NETWORK,
    UNDECLARED,
    order_families,
    style_of,
)
from attnbench.reports.figures.figure_files import (
    BLUE,
    CHARACTER,
    DOUBLE,
    PLAIN,
    SMALL,
    blank,
    style_axes,
    style_legend,
)
from attnbench.reports.tables.accuracy_results import PairedTrainings, read_trainings
from attnbench.reports.tables.case_results import Records
from attnbench.suites.case import Case
from attnbench.suites.planned import PlannedTable
from attnbench.suites.schema import Suite

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Epoch = Mapping[str, float]
Row = tuple[str, Sequence[float], float, float, float]

_MANY = 12
"""Number of variants above which curves are drawn in a panel for each family."""
_ACROSS = 4
_ROOM = 34
"""Characters that fit in a panel."""
_FEW = 20
"""Number of epochs below which a curve has a marker at each epoch."""


def draw_accuracies(
    suite: Suite, tables: Sequence[PlannedTable], records: Records
) -> dict[str, Figure]:
    """Return the figures of a run by name: ``differences`` and ``curves`` of what was trained."""
    found = [result for result in _results(tables, records) if result[2].own]
    if not found:
        return {}
    title = suite.suite.title
    measured = {label: pair for label, _, pair in found}
    rows = [
        (label, pair.differences(), estimate.mean, estimate.low, estimate.high)
        for label, pair in measured.items()
        if not pair.is_plain and (estimate := pair.difference())
    ]
    figures = {"differences": draw_differences(rows, title)} if rows else {}
    curves = {
        label: [record["training"]["curve"] for _, record in sorted(pair.own.items())]
        for label, pair in measured.items()
    }
    if len(curves) > _MANY:
        families = {label: family for label, family, _ in found}
        return figures | {"curves": draw_family_curves(curves, families, title)}
    return figures | {"curves": draw_curves(curves, title)}


def _results(
    tables: Sequence[PlannedTable], records: Records
) -> Iterator[tuple[str, str, PairedTrainings]]:
    """Yield label, family and trainings; rows of several tables have their placement's label."""
    labels = Counter(row.label for table in tables for row in table.rows)
    for table in tables:
        for row, results in zip(table.rows, read_trainings(table.rows, records), strict=True):
            for case, pair in zip(row.cases, results, strict=False):
                parts = [case.module] if len(results) > 1 else []
                parts += [case.placement] if labels[row.label] > 1 else []
                more = ", ".join(filter(None, parts))
                yield f"{row.label} ({more})" if more else row.label, _family(case, records), pair


def _family(case: Case, records: Records) -> str:
    if case.module is None:
        return PLAIN_NETWORK
    card = (records.get(case.name) or {}).get("card") or {}
    return str(card.get("family") or UNDECLARED)


def draw_family_curves(
    curves: Mapping[str, Sequence[Sequence[Epoch]]], families: Mapping[str, str], title: str
) -> Figure:
    """Draw the mean loss of many variants over epochs, in a panel for each family.

    Each panel has all variants in gray, those of its family in color and the plain networks in
    black. Those whose last loss is an outlier above the others are named in the corner.

    Args:
        curves: variant -> seeds -> epochs with ``epoch`` and ``loss``.
        families: variant -> family.
        title: the title of the figure.
    """
    _check(curves)
    means = {name: _mean(_lines(seeds, "loss")) for name, seeds in curves.items()}
    means = {name: mean for name, mean in means.items() if mean}
    found = order_families(families[label] for label in means)
    names = [name for name in found if name != PLAIN_NETWORK] or found
    last = {label: mean[max(mean)] for label, mean in means.items()}
    highest = -lower_fence([-loss for loss in last.values() if isfinite(loss)])
    rows = -(-len(names) // _ACROSS)
    figure = blank(DOUBLE, 0.5 + 1.9 * rows, title)
    grid = figure.subplots(rows, min(_ACROSS, len(names)), sharex=True, sharey=True, squeeze=False)
    for axes in grid.ravel()[len(names) :]:
        axes.set_axis_off()
    for axes, family in zip(grid.ravel(), names, strict=False):
        own = {label for label in means if families[label] == family}
        _draw_family(axes, means, families, family)
        _name_outliers(axes, {label: last[label] for label in own if last[label] > highest})
    figure.supxlabel("epoch", fontsize=PLAIN)
    figure.supylabel("training loss, mean of the seeds", fontsize=PLAIN)
    return figure


def _draw_family(
    axes: Axes,
    means: Mapping[str, Mapping[float, float]],
    families: Mapping[str, str],
    family: str,
) -> None:
    for label, mean in means.items():
        color, width, order = "0.85", 0.4, 1
        if families[label] in (family, PLAIN_NETWORK):
            color, width, order = style_of(families[label])[0], 0.8, 2
        axes.plot(*_points(mean), color=color, linewidth=width, zorder=order, label=label)
    style_axes(axes, family, grid="y")
    axes.locator_params(axis="x", integer=True)


def _name_outliers(axes: Axes, last: Mapping[str, float]) -> None:
    """Write the names in the upper right corner, the highest loss first."""
    highest = sorted(last, key=lambda label: -last[label])
    names = [name if len(name) <= _ROOM else f"{name[: _ROOM - 1]}…" for name in highest]
    axes.text(
        *(0.98, 0.97, "\n".join(names)),
        transform=axes.transAxes,
        fontsize=SMALL,
        horizontalalignment="right",
        verticalalignment="top",
        parse_math=False,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1},
    ).set_in_layout(False)


def _lines(seeds: Sequence[Sequence[Epoch]], key: str) -> list[dict[float, float]]:
    """Return a value by epoch for each seed that has any."""
    lines = ({epoch["epoch"]: epoch[key] for epoch in seed if key in epoch} for seed in seeds)
    return [line for line in lines if line]


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
    width = DOUBLE if tested else DOUBLE / 2
    each = 0.5 + CHARACTER * max(map(len, curves))
    columns = max(1, min(len(curves), int(width / each)))
    figure = blank(width, 2.9 + 0.13 * -(-len(curves) // columns), title)
    grid = figure.subplots(1, len(panels), sharex=True, squeeze=False)[0]
    means = [
        _draw_panel(axes, curves, key, name) for axes, (key, name) in zip(grid, panels, strict=True)
    ]
    legend = figure.legend(
        means[0],
        list(curves),
        loc="outside lower center",
        ncols=columns,
        fontsize=SMALL,
        title="thick: mean of the seeds; thin: each seed",
        title_fontsize=SMALL,
    )
    style_legend(legend)
    return figure


def draw_differences(rows: Sequence[Row], title: str) -> Figure:
    """Draw the paired differences to the plain backbone, one row per variant, with a line at zero.

    A dot marks each seed, a diamond the mean, a bar the interval; a bound off the axis, which
    outliers do not stretch, is an arrow out of the figure. NaN values are left out.

    Args:
        rows: label, difference of each seed, mean, low, high; in percentage points of top-1.
        title: the title of the figure.

    Raises:
        RequestError: there is no row.
    """
    if not rows:
        raise RequestError("draw_differences() needs at least one row: got none.")
    figure = blank(DOUBLE, 0.9 + 0.17 * len(rows), title)
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
        lines = _lines(seeds, key)
        for line in lines:
            axes.plot(*_points(line), color=color, linewidth=0.4, alpha=0.5, **_marks(line, 1))
        mean = _mean(lines)
        means += axes.plot(*_points(mean), color=color, linewidth=1.2, **_marks(mean, 2))
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
    """Return axis limits around zero, the means, and the seeds and bounds that are no outliers.

    What lies farther out is cut by the frame.
    """
    means = [row[2] for row in rows if isfinite(row[2])]
    fences = lower_fence(means), -lower_fence([-mean for mean in means])
    kept = [row for row in rows if fences[0] <= row[2] <= fences[1]]
    others = [value for _, seeds, _, *bounds in kept for value in (*seeds, *bounds)]
    found = [value for value in others if isfinite(value)]
    reach = lower_fence(found), -lower_fence([-value for value in found])
    values = [0.0, *(row[2] for row in kept), *(v for v in found if reach[0] <= v <= reach[1])]
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 1.0
    return low - room, high + room


def _draw_row(axes: Axes, at: int, row: Row, limits: tuple[float, float]) -> None:
    _, differences, mean, low, high = row
    dots = [value for value in differences if limits[0] <= value <= limits[1]]
    axes.scatter(dots, [at + 0.3] * len(dots), s=5, color="0.45", alpha=0.7, linewidths=0)
    if not isfinite(mean):
        return
    middle = min(max(mean, limits[0]), limits[1])
    arrow = {"arrowstyle": "-|>", "color": BLUE, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    for bound, edge, way in ((low, limits[0], -1), (high, limits[1], 1)):
        if way * bound > way * edge:
            start = edge - way * 0.04 * (limits[1] - limits[0]) if middle == edge else middle
            axes.annotate("", (edge, at), (start, at), arrowprops=arrow)
        elif isfinite(bound):
            ends = [middle, min(max(bound, limits[0]), limits[1])]
            axes.plot(ends, [at, at], color=BLUE, linewidth=1.2, solid_capstyle="butt")
            axes.plot(ends[1:], [at], "|", color=BLUE, markersize=5, markeredgewidth=1.2)
    if middle == mean:
        axes.plot([mean], [at], "D", color=BLUE, markersize=3.5, zorder=3)


def _finish_forest(axes: Axes, rows: Sequence[Row], limits: tuple[float, float]) -> None:
    """Add the zero line, the labels on the left and the numbers on the right."""
    quantity = "top-1 minus that of the plain backbone, percentage points"
    style_axes(
        axes,
        x=f"{quantity}\n(diamond: mean; bar: interval; dots: seeds; arrow: beyond the axis)",
        grid="x",
    )
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
