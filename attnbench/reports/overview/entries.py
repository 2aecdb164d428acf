"""The results of several runs, collected by place and module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from attnbench.reports.tables.row_views import RowView, row_views
from attnbench.suites.case import DEFAULT_SIZE

if TYPE_CHECKING:
    from attnbench.reports.tables.accuracy_results import PairedTrainings
    from attnbench.reports.tables.latency_results import LatencyCell
    from attnbench.reports.tables.row_views import CostResult, Records
    from attnbench.suites.case import Case
    from attnbench.suites.planned import PlannedTable
    from attnbench.suites.schema import Suite


class PlaceSetting(NamedTuple):
    """The setting of a measurement: the network, and the runtime or the data set."""

    backbone: str
    name: str
    recipe: str = ""
    """The training recipe, such as ``digits-quick,epochs=3``; empty for latencies."""


@dataclass
class OverviewEntry:
    """A module at a place, or the plain network; the first run with a value takes precedence."""

    module: str
    """Canonical spec; empty for the plain network."""
    costs: dict[str, CostResult] = field(default_factory=dict)
    """Cost results by backbone."""
    latencies: dict[PlaceSetting, LatencyCell] = field(default_factory=dict)
    fused: dict[PlaceSetting, LatencyCell] = field(default_factory=dict)
    """Latencies of the inference form."""
    accuracies: dict[PlaceSetting, PairedTrainings] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)

    def add(self, view: RowView, result: CostResult) -> None:
        """Add the results of a table row."""
        case = result.case
        network = network_of(case)
        self.card = {**result.card, **self.card}
        if not case.fused:
            self.costs.setdefault(network, result)
        timings = self.fused if case.fused else self.latencies
        for timed in view.timed:
            timings.setdefault(PlaceSetting(network, str(timed.case.conditions)), timed)
        trained = view.trained_of(result)
        if trained is not None and view.accuracy is not None:
            setting = PlaceSetting(
                case.backbone or ALONE, view.accuracy.dataset, recipe_of(trained)
            )
            self.accuracies.setdefault(setting, trained)


ALONE = "the module alone"
"""Name used in place of a backbone for a module measured alone."""


def recipe_of(trained: PairedTrainings) -> str:
    """Return the recipe and its overrides, without the seed."""
    training = trained.cases[0].training
    return training.settings if training else ""


def network_of(case: Case) -> str:
    """Return the backbone, with its image size where that differs from the default.

    Counts and latencies at two sizes are separate values; the feature map of a module alone is
    its place.
    """
    if case.backbone is None:
        return ALONE
    height, width = case.size
    return case.backbone if case.size == DEFAULT_SIZE else f"{case.backbone} {height}x{width}"


@dataclass
class Place:
    """A placement, or the feature map of modules measured alone, with the modules there."""

    name: str
    entries: dict[str, OverviewEntry] = field(default_factory=dict)
    """Entries by module spec."""
    plain: OverviewEntry = field(default_factory=lambda: OverviewEntry(""))

    def entry(self, module: str) -> OverviewEntry:
        """Return the entry of a module, created if absent."""
        return self.entries.setdefault(module, OverviewEntry(module))


Planned = tuple["Suite", Sequence["PlannedTable"], "Records"]
"""A run: its suite, its tables, and its records by case name."""


def collect(runs: Iterable[Planned]) -> list[Place]:
    """Return the places of all runs, in order of first appearance, with their modules.

    Plain networks are added to every place of their table; ``wider`` controls are left out.
    """
    places: dict[str, Place] = {}
    for suite, tables, records in runs:
        for table in tables:
            _collect(row_views(suite, table, records), places)
    return list(places.values())


def _collect(views: Sequence[RowView], places: dict[str, Place]) -> None:
    rows = [(view, result) for view in views for result in view.results]
    here = {}
    for view, result in rows:
        if result.case.module is not None:
            name = place_of(result.case)
            here[name] = places.setdefault(name, Place(name))
            here[name].entry(result.case.module).add(view, result)
    for view, result in _plain(rows):
        for place in here.values():
            place.plain.add(view, result)


def _plain(rows: Iterable[tuple[RowView, CostResult]]) -> Iterator[tuple[RowView, CostResult]]:
    for view, result in rows:
        if result.case.module is None and view.row.control is None:
            yield view, result


def place_of(case: Case) -> str:
    """Return the placement of a case; for a module alone, its feature map (``512x14x14``)."""
    height, width = case.size
    return case.placement or f"{case.channels}x{height}x{width}"
