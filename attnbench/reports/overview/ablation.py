"""Figure of an ablation: overhead and accuracy against an option or the number of sites."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from statistics import fmean
from typing import TYPE_CHECKING, Any

from attnbench.errors import AttnbenchError
from attnbench.registry.specs import Spec, parse_spec
from attnbench.reports.figures.axis_scales import Mark, clip_interval, limits_of
from attnbench.reports.figures.figure_files import (
    CHARACTER,
    DOUBLE,
    SINGLE,
    SMALL,
    blank,
    style_axes,
    style_legend,
)
from attnbench.reports.overview.tradeoff import gain_of, overhead_of
from attnbench.reports.paper.row_names import backbone_name
from attnbench.reports.tables.case_results import CostResult, Records, read_timings
from attnbench.reports.tables.row_views import RowView, row_views
from attnbench.suites.case import training_of
from attnbench.suites.planned import PlannedTable
from attnbench.suites.schema import Suite

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SITES = "sites"
"""The number of places that hold a module, instead of an option."""
_ACROSS = 3
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKS = "oDs^vp"
_GRAY = "0.45"
_LOGARITHMIC = 4
"""Ratio of the largest to the smallest value from which an axis is logarithmic."""


@dataclass(frozen=True)
class AblationArm:
    """A network of a run with its results."""

    view: RowView
    result: CostResult

    @property
    def spec(self) -> Spec:
        """Return the module with the options that the suite or the group of columns gives it."""
        own = parse_spec(self.result.case.module or "plain")
        written = self.view.row.module
        given = (
            parse_spec(written).options if isinstance(written, str) and "@" not in written else {}
        )
        groups = self.view.layout.groups if len(self.view.results) > 1 else None
        grouped = {groups.option: groups.values[self.result.group]} if groups else {}
        return Spec(own.name, {**given, **grouped, **own.options})

    @property
    def is_control(self) -> bool:
        """Return whether the module is a control, such as the identity."""
        return self.result.case.module == "identity" or self.view.card.get("family") == "control"

    @property
    def sites(self) -> int:
        """Return the number of places that hold the module; 0 if it is not known."""
        pair = self.view.trained_of(self.result)
        results = (self.result, *self.view.timed, *(pair.results if pair else ()))
        return next((len(found.slots) for found in results if found.slots), 0)

    @property
    def network(self) -> tuple[str, str, str]:
        """Return backbone, image size and form; of a module alone, its feature map."""
        case = self.result.case
        size = "x".join(map(str, (*([case.channels] if case.channels else []), *case.size)))
        return backbone_name(case.backbone or ""), size, "fused" if case.fused else ""


@dataclass(frozen=True)
class AblationSeries:
    """The arms of an ablation that differ in nothing but its variable."""

    name: tuple[str, ...]
    """Module, backbone, size, form and placement."""
    arms: tuple[tuple[Any, AblationArm], ...]
    """Each arm with the value of the variable."""

    @property
    def is_control(self) -> bool:
        """Return whether the modules are controls."""
        return self.arms[0][1].is_control


Quantity = Callable[[AblationArm], Mark | None]
Named = tuple[str, Quantity]
"""A quantity behind the label of its axis."""


def read_arms(suite: Suite, tables: Sequence[PlannedTable], records: Records) -> list[AblationArm]:
    """Return the networks of all tables of a run, each once."""
    timings = read_timings(records)
    found: dict[str, AblationArm] = {}
    for table in tables:
        for view in row_views(suite, table, records, timings):
            for result in view.results:
                found.setdefault(result.case.name, AblationArm(view, result))
    return list(found.values())


def variables_of(arms: Sequence[AblationArm]) -> list[str]:
    """Return what varies in the arms: options of their modules, and ``sites``."""
    options = dict.fromkeys(
        key for arm in arms if arm.result.case.module for key in arm.spec.options
    )
    return [name for name in (*options, SITES) if series_of(arms, name)]


def series_of(arms: Sequence[AblationArm], variable: str) -> list[AblationSeries]:
    """Return the series of arms with at least two values of the variable."""
    found: dict[tuple[str, ...], list[tuple[Any, AblationArm]]] = {}
    named = {arm.spec.name for arm in arms if variable in arm.spec.options}
    for arm in arms:
        is_varied = variable == SITES or arm.spec.name in named
        value = _value(arm, variable) if arm.result.case.module and is_varied else None
        if value is not None:
            found.setdefault(_key(arm, variable), []).append((value, arm))
    return [
        AblationSeries(key, tuple(sorted(members, key=lambda member: _order(member[0]))))
        for key, members in found.items()
        if len({_order(value) for value, _ in members}) > 1
    ]


def _value(arm: AblationArm, variable: str) -> Any:
    if variable == SITES:
        return arm.sites or None
    options = arm.spec.options
    return options[variable] if variable in options else _default(arm, variable)


def _default(arm: AblationArm, option: str) -> Any:
    """Return the default of an option; None if the module is not installed."""
    from attnbench.registry.attention import find_attention

    try:
        return find_attention(arm.result.case.module or "").options.get(option)
    except AttnbenchError:
        return None


def _order(value: Any) -> tuple[bool, float, str]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (not is_number, float(value) if is_number else 0.0, str(value))


def _key(arm: AblationArm, variable: str) -> tuple[str, ...]:
    options = {key: value for key, value in arm.spec.options.items() if key != variable}
    placement = arm.result.case.placement or ""
    place = placement.partition(":")[0] if variable == SITES else placement
    return str(Spec(arm.spec.name, options)), *arm.network, place


def draw_ablation(arms: Sequence[AblationArm], variable: str, title: str) -> Figure:
    """Draw overheads and accuracies, else costs, against an option or the number of sites.

    Each series has a color; a line joins the means at each value, and thin lines are 95%
    intervals. The line at zero is the plain network. Controls at the place of a series are dashed,
    wider plain networks dotted.

    Args:
        arms: the networks of a run.
        variable: one of :func:`variables_of`.
        title: the title of the figure.
    """
    series = series_of(arms, variable)
    panels = list(_panels(arms, series))
    columns = min(_ACROSS, len(panels))
    rows = -(-len(panels) // columns)
    width = SINGLE if columns == 1 else DOUBLE
    figure = blank(width, 0.6 + 2.1 * rows + 0.13 * len(series), title)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    ticks = sorted({value for member in series for value, _ in member.arms}, key=_order)
    if variable == SITES:
        ticks = [0, *ticks]  # the plain network
    for axes, (label, quantity) in zip(grid, panels, strict=False):
        _draw_panel(axes, arms, series, quantity, variable, ticks)
        style_axes(axes, x=_title(series, variable), y=label, grid="y")
    _add_legend(figure, max(2, 2 * round(width / SINGLE)))
    return figure


def _title(series: Sequence[AblationSeries], variable: str) -> str:
    is_replaced = variable == SITES and {member.name[-1] for member in series} == {"replace"}
    return "replaced blocks" if is_replaced else variable.replace("_", " ")


def _panels(arms: Sequence[AblationArm], series: Sequence[AblationSeries]) -> Iterator[Named]:
    """Yield the quantities that a series has at two values, with the label of their axis."""
    drawn = [arm for member in series for _, arm in member.arms]
    timed = dict.fromkeys(str(cell.conditions) for arm in drawn for cell in arm.view.timed)
    overheads: list[Named] = [(f"overhead, %\n{name}", partial(_overhead, name)) for name in timed]
    trained = dict.fromkeys(
        training_of(pair.results[0].case).key
        for arm in drawn
        if (pair := arm.view.trained_of(arm.result))
    )
    gains: list[Named] = [
        (f"top-1 to plain, points\n{name}", partial(_gain, name)) for name in trained
    ]
    plain = {
        arm.network: _printed_top1(arm) for arm in reversed(arms) if arm.result.case.module is None
    }
    costs: list[Named] = [
        (f"added {title}, %", partial(_added, key))
        for key, title in (("params", "parameters"), ("macs", "MACs"))
    ]
    printed: Named = ("top-1 to plain, points\nas printed", partial(_printed, plain))
    has_overhead = any(_is_shown(series, quantity) for _, quantity in overheads)
    for label, quantity in (*overheads, *([] if has_overhead else costs), *gains, printed):
        if _is_shown(series, quantity):
            yield label, quantity


def _is_shown(series: Sequence[AblationSeries], quantity: Quantity) -> bool:
    return any(sum(quantity(arm) is not None for _, arm in member.arms) > 1 for member in series)


def _overhead(conditions: str, arm: AblationArm) -> Mark | None:
    cells = (cell for cell in arm.view.timed if str(cell.conditions) == conditions)
    return next((mark for cell in cells if (mark := overhead_of(cell))), None)


def _gain(training: str, arm: AblationArm) -> Mark | None:
    pair = arm.view.trained_of(arm.result)
    return gain_of(pair) if pair and training_of(pair.results[0].case).key == training else None


def _added(key: str, arm: AblationArm) -> Mark | None:
    values = arm.result.values
    added, own = values.get(f"delta_{key}"), values.get(key)
    if added is None or not own or own == added:
        return None
    percent = 100 * added / (own - added)
    return percent, percent, percent


def _printed_top1(arm: AblationArm) -> float | None:
    try:
        return float(arm.view.printed_figure("top1", arm.result) or "")
    except ValueError:
        return None


def _printed(plain: Mapping[tuple[str, str, str], float | None], arm: AblationArm) -> Mark | None:
    own, beside = _printed_top1(arm), plain.get(arm.network)
    if own is None or beside is None:
        return None
    return own - beside, own - beside, own - beside


def _draw_panel(
    axes: Axes,
    arms: Sequence[AblationArm],
    series: Sequence[AblationSeries],
    quantity: Quantity,
    variable: str,
    ticks: Sequence[Any],
) -> None:
    marks = [mark for member in series for _, arm in member.arms if (mark := quantity(arm))]
    axes.axhline(0, color="black", linewidth=0.8, zorder=1, label="plain")
    places = _scale(axes, ticks)
    if variable == SITES:
        axes.plot([0], [0], "*", color="black", markersize=6, zorder=4)
    levels = [] if variable == SITES else list(_levels(arms, series, quantity))
    axes.set_ylim(*limits_of((*marks, *(mark for _, _, mark in levels))))
    for at, (color, member) in enumerate(zip(_colors(series), series, strict=True)):
        points = [(places[_order(value)], quantity(arm)) for value, arm in member.arms]
        known = [(x, mark) for x, mark in points if mark]
        _draw_series(axes, known, color, _MARKS[at % len(_MARKS)], member.is_control)
        axes.lines[-1].set_label(_label(member, series))
    for name, at, mark in levels:
        color, style = _colors(series)[at], ":" if name == "wider" else "--"
        axes.axhline(mark[1], color=color, linewidth=0.8, linestyle=style, zorder=1, label=name)
        ends = clip_interval(mark, axes.get_ylim())
        axes.axhspan(*ends, color=color, alpha=0.06, linewidth=0, zorder=0)


def _scale(axes: Axes, ticks: Sequence[Any]) -> dict[Any, float]:
    """Set the scale and the ticks of the axis; return the place of each value on it."""
    keys = [_order(tick) for tick in ticks]
    is_numeric = not any(key[0] for key in keys)
    places = {key: key[1] if is_numeric else float(at) for at, key in enumerate(keys)}
    found = list(places.values())
    if is_numeric and found[0] > 0 and found[-1] >= _LOGARITHMIC * found[0] and len(found) > 2:
        axes.set_xscale("log", base=2)
    axes.set_xticks(found, [str(tick) for tick in ticks])
    axes.minorticks_off()
    return places


def _levels(
    arms: Sequence[AblationArm], series: Sequence[AblationSeries], quantity: Quantity
) -> Iterator[tuple[str, int, Mark]]:
    """Yield name, number of the series and value of the controls beside each series."""
    for at, member in enumerate(series):
        case = member.arms[0][1].result.case
        for arm in arms:
            other = arm.result.case
            pair = arm.view.trained_of(arm.result)
            is_wider = arm.view.row.control == "wider" and pair is not None
            plain = pair.against[0].case.backbone if is_wider and pair else other.backbone
            here = is_wider or (arm.is_control and other.placement == case.placement)
            mark = quantity(arm) if here and plain == case.backbone else None
            if mark and isfinite(mark[1]):
                yield "wider" if is_wider else other.module or "", at, mark


def _colors(series: Sequence[AblationSeries]) -> list[str]:
    return [
        _GRAY if member.is_control else _COLORS[at % len(_COLORS)]
        for at, member in enumerate(series)
    ]


def _draw_series(
    axes: Axes, points: Sequence[tuple[float, Mark]], color: str, marker: str, is_control: bool
) -> None:
    """Draw marks with intervals and the line of means; the last line is that of the legend."""
    style: dict[str, Any] = {"color": color, "zorder": 2 if is_control else 3}
    dots: dict[str, Any] = {
        "marker": marker,
        "markersize": 5 if is_control else 3.2,
        "linewidth": 1.0,
    }
    dots |= {"markerfacecolor": "white"} if is_control else {}
    line = "--" if is_control else "-"
    for x, mark in points:
        low, high = clip_interval(mark, axes.get_ylim())
        axes.plot([x, x], [low, high], **{**style, "linewidth": 0.6, "alpha": 0.7})
        axes.plot([x], [mark[1]], **style, **dots)
    places = sorted({x for x, _ in points})
    means = [fmean(mark[1] for at, mark in points if at == x) for x in places]
    axes.plot(places, means, linestyle=line, **{**style, "linewidth": 1.0, "zorder": 1.5})
    axes.plot([], [], linestyle=line, **style, **dots)


def _label(member: AblationSeries, series: Sequence[AblationSeries]) -> str:
    """Return the module and what tells its series from the others."""
    differs = [len({other.name[at] for other in series}) > 1 for at in range(len(member.name))]
    return ", ".join(
        part for at, part in enumerate(member.name) if at == 0 or (differs[at] and part)
    )


def _add_legend(figure: Figure, columns: int) -> None:
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    longest = max(map(len, found))
    columns = max(1, min(columns, int(figure.get_figwidth() / (0.5 + CHARACTER * longest))))
    legend = figure.legend(
        found.values(), found, loc="outside lower center", ncols=columns, fontsize=SMALL
    )
    style_legend(legend)
