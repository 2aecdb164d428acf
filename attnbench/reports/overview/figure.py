"""The figure of a place: added parameters, overhead and accuracy, one row per module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from attnbench.reports.figures.dot_plot import Mark, Panel, draw_panels
from attnbench.reports.overview.columns import common, network, ranked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attnbench.reports.overview.entries import OverviewEntry, Place, PlaceSetting
    from attnbench.reports.tables.accuracy_results import PairedTrainings
    from attnbench.reports.tables.latency_results import LatencyCell

_LINEAR = 10.0


def picture(place: Place) -> Figure:
    """Return the figure of a place, in the order of its table.

    Raises:
        RequestError: there is nothing to draw.
    """
    entries = ranked(place)
    names = [entry.module for entry in entries]
    return draw_panels(names, list(_panels(place, entries)), f"Attention modules at {place.name}")


def _panels(place: Place, entries: Sequence[OverviewEntry]) -> Iterator[Panel]:
    yield Panel("parameters", _params(place, entries), linear_up_to=_LINEAR)
    for setting in common(place, "latencies"):
        yield _overhead(entries, setting)
    for setting in common(place, "accuracies"):
        title = f"top-1 to plain, points\n{setting.name}"
        marks = [_points(entry.accuracies.get(setting)) for entry in entries]
        # a module that does not learn must not hide the differences of those that do
        yield Panel(title, marks, linear_up_to=_LINEAR)


def _params(place: Place, entries: Sequence[OverviewEntry]) -> list[Mark | None]:
    found = [entry.costs.get(network(place)) for entry in entries]
    added = [
        result.values.get("delta_params", result.values.get("params")) if result else None
        for result in found
    ]
    return [None if value is None else (value, value, value) for value in added]


def _overhead(entries: Sequence[OverviewEntry], setting: PlaceSetting) -> Panel:
    plain = [entry.latencies.get(setting) for entry in entries]
    fused = [_percent(entry.fused.get(setting)) for entry in entries]
    titles = (str(cell.runtime["title"]) for cell in plain if cell and cell.runtime)
    title = next(titles, setting.name)
    second = fused if any(fused) else []
    return Panel(f"overhead, %\n{title}", [_percent(cell) for cell in plain], second)


def _percent(cell: LatencyCell | None) -> Mark | None:
    if cell is None or cell.timing is None:
        return None
    arm = cell.timing.arm
    low, middle, high = (100 * (ratio - 1) for ratio in (arm.low, arm.ratio, arm.high))
    return low, middle, high


def _points(trained: PairedTrainings | None) -> Mark | None:
    found = trained.difference() if trained is not None else None
    return (found.low, found.mean, found.high) if found is not None else None
