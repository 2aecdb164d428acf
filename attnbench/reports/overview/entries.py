"""The results of several runs, collected by place and module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from attnbench.reports.tables.accuracy_results import PairedTrainings
from attnbench.reports.tables.case_results import (
    CostResult,
    LatencyCell,
    Records,
    read_timings,
)
from attnbench.reports.tables.row_views import RowView, row_views
from attnbench.suites.case import DEFAULT_SIZE, Case, training_of
from attnbench.suites.planned import PlannedTable
from attnbench.suites.schema import Suite

ALONE = "the module alone"
"""Name used in place of a backbone for a module measured alone."""


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

    def add(self, view: RowView, result: CostResult, beside: str = "") -> None:
        """Add the results of a table row; ``beside`` is the plain network of a wider one."""
        case = result.case
        network = beside or _network(case)
        self.card = {**result.part("card"), **self.card}
        if not case.fused:
            self.costs.setdefault(network, result)
        timings = self.fused if case.fused else self.latencies
        for cell in view.timed:
            timings.setdefault(PlaceSetting(network, str(cell.conditions)), cell)
        pair = view.trained_of(result)
        if pair is not None and view.accuracy is not None:
            recipe = training_of(pair.results[0].case).settings
            trained = beside or case.backbone or ALONE
            setting = PlaceSetting(trained, view.accuracy.dataset, recipe)
            self.accuracies.setdefault(setting, pair)


def _network(case: Case) -> str:
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
    wider: dict[str, OverviewEntry] = field(default_factory=dict)
    """Plain networks of about the modules' cost, by backbone; drawn only."""
    chosen: tuple[str, ...] = ()
    """Modules that are shown; empty for all."""

    def results(self, kind: str, setting: PlaceSetting) -> list[Any]:
        """Return the ``latencies``, ``fused`` or ``accuracies`` of the modules that have one."""
        found = (getattr(entry, kind).get(setting) for entry in self.entries.values())
        return [result for result in found if result is not None]


def collect(runs: Iterable[tuple[Suite, Sequence[PlannedTable], Records]]) -> list[Place]:
    """Return the places of all runs, in order of first appearance, with their modules.

    Plain networks and ``wider`` controls are added to every place of their table.

    Args:
        runs: the suite, the tables and the records by case name of each run.
    """
    places: dict[str, Place] = {}
    for suite, tables, records in runs:
        timings = read_timings(records)
        for table in tables:
            _collect(row_views(suite, table, records, timings), places)
    return list(places.values())


def _collect(views: Sequence[RowView], places: dict[str, Place]) -> None:
    rows = [(view, result) for view in views for result in view.results]
    here = {}
    for view, result in rows:
        if module := result.case.module:
            name = _place_name(result.case)
            here[name] = places.setdefault(name, Place(name))
            here[name].entries.setdefault(module, OverviewEntry(module)).add(view, result)
    for view, result in rows:
        if result.case.module is None:
            for place in here.values():
                _add_plain(view, result, place)


def _add_plain(view: RowView, result: CostResult, place: Place) -> None:
    if view.row.control is None:
        place.plain.add(view, result)
        return
    name, pair = result.case.backbone or ALONE, view.trained_of(result)
    beside = pair.against[0].case.backbone if pair and pair.against else None
    place.wider.setdefault(name, OverviewEntry(name)).add(view, result, beside or "")


def _place_name(case: Case) -> str:
    """Return the placement of a case; for a module alone, its feature map (``512x14x14``)."""
    height, width = case.size
    return case.placement or f"{case.channels}x{height}x{width}"
