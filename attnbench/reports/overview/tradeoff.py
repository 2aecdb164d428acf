"""Accuracy against overhead, MACs or parameters: the points of a place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from attnbench.errors import RequestError
from attnbench.reports.figures.axis_scales import Mark
from attnbench.reports.figures.family_styles import PLAIN_NETWORK, UNDECLARED, WIDER
from attnbench.reports.figures.tradeoff import TradeoffPanel, TradeoffPoint, draw_tradeoff
from attnbench.reports.overview.columns import common, runtime_title
from attnbench.reports.overview.entries import OverviewEntry, Place, PlaceSetting
from attnbench.reports.tables.accuracy_results import PairedTrainings
from attnbench.reports.tables.case_results import CostResult, LatencyCell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BUDGET_LINE = 5.0
"""Overhead in percent at which a line is drawn."""
_COUNTS = {"macs": "MACs", "params": "parameters"}
_NOTHING: Mark = (0.0, 0.0, 0.0)

CostOf = Callable[[OverviewEntry], Mark | None]


def draw_tradeoff_at(place: Place, against: str, labels: Collection[str] = ()) -> Figure:
    """Draw the accuracy of a place's modules against their overhead, MACs or parameters.

    Args:
        place: the modules with their results.
        against: ``overhead``, of every runtime that most modules have, or ``macs`` or ``params``,
            of the network that was trained, in percent of the plain one.
        labels: modules that are named, besides those on the Pareto front.

    Raises:
        RequestError: the runs lack accuracies or overheads of most modules there, or have no module
            of a label.
    """
    panels = list(_panels(place, against))
    if not panels:
        lacks = "accuracy" if not common(place, "accuracies") else "latency"
        raise RequestError(
            f"no {lacks} of most modules at {place.name}: got none in these runs. "
            f"Name a run that has them as well."
        )
    return draw_tradeoff(panels, f"Attention modules at {place.name}", labels)


def _panels(place: Place, against: str) -> Iterator[TradeoffPanel]:
    for trained in common(place, "accuracies"):
        y = f"top-1 to plain, points\n{trained.backbone}, {trained.name}"
        if against in _COUNTS:
            x = f"added {_COUNTS[against]}, %"
            yield _panel(place, trained, _added(place, against, trained.backbone), x, y, None)
            continue
        for timed in common(place, "latencies"):
            x = f"overhead, %\n{timed.backbone}, {runtime_title(place, timed)}"
            yield _panel(place, trained, _overhead(timed), x, y, BUDGET_LINE)


def _panel(
    place: Place, trained: PlaceSetting, cost_of: CostOf, x: str, y: str, limit: float | None
) -> TradeoffPanel:
    points = [TradeoffPoint(PLAIN_NETWORK, PLAIN_NETWORK, _NOTHING, _NOTHING)]
    missing = []
    controls = [(entry, WIDER) for entry in place.wider.values()]
    modules = [(entry, entry.card.get("family") or UNDECLARED) for entry in place.entries.values()]
    for entry, family in (*modules, *controls):
        cost, gain = cost_of(entry), gain_of(entry.accuracies.get(trained))
        if cost is not None and gain is not None:
            points.append(TradeoffPoint(entry.module, family, cost, gain))
        elif family != WIDER:
            missing.append(entry.module)
    return TradeoffPanel(points, x, y, missing, limit)


def gain_of(pair: PairedTrainings | None) -> Mark | None:
    """Return the difference of accuracy to the plain network with its interval, in points."""
    found = pair.difference() if pair else None
    return (found.low, found.mean, found.high) if found else None


def overhead_of(cell: LatencyCell | None) -> Mark | None:
    """Return the overhead with its interval, in percent."""
    if cell is None or cell.timing is None:
        return None
    arm = cell.timing.arm
    low, middle, high = (100 * (ratio - 1) for ratio in (arm.low, arm.ratio, arm.high))
    return low, middle, high


def _overhead(setting: PlaceSetting) -> CostOf:
    return lambda entry: overhead_of(entry.latencies.get(setting))


def _added(place: Place, key: str, backbone: str) -> CostOf:
    plain = _values(place.plain.costs.get(backbone)).get(key)

    def cost(entry: OverviewEntry) -> Mark | None:
        value = _values(entry.costs.get(backbone)).get(key)
        if value is None or not plain:
            return None
        percent = 100.0 * (value / plain - 1)
        return percent, percent, percent

    return cost


def _values(result: CostResult | None) -> Mapping[str, float]:
    return result.values if result else {}
