"""The columns of an overview, each with one value per entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from attnbench.reports.overview.entries import OverviewEntry, Place, PlaceSetting
from attnbench.reports.tables import accuracy_columns, latency_columns
from attnbench.reports.tables.case_result import NOT_RUN
from attnbench.reports.tables.latency_format import overhead
from attnbench.reports.tables.number_format import NOTHING, signed, whole
from attnbench.reports.tables.report import Column

_COSTS = (("params", "Parameters", ""), ("macs", "MACs", ""), ("bytes", "Bytes", "unfused"))


@dataclass(frozen=True)
class OverviewColumn:
    """A column and the functions that format its value and footnotes for an entry."""

    column: Column
    text: Callable[[OverviewEntry], str]
    notes: Callable[[OverviewEntry], tuple[str, ...]] = lambda entry: ()
    """Footnotes: the reason for a missing value, or a caveat about the value."""


def figures(place: Place) -> Iterator[OverviewColumn]:
    """Yield the columns of a place; settings of fewer than half of its modules are left out."""
    yield from _costs(place)
    for setting in common(place, "latencies"):
        yield _latency(place, setting)
        if any(setting in entry.fused for entry in place.entries.values()):
            yield _latency(place, setting, fused=True)
    for setting in common(place, "accuracies"):
        yield _accuracy(place, setting)


def common(place: Place, kind: str) -> list[PlaceSetting]:
    """Return the settings of a kind in at least half of the modules that are measured for some."""
    found = counted(place, kind)
    enough = [setting for setting, count in found.items() if 2 * count >= len(place.entries)]
    entries = place.entries.values()
    return [setting for setting in enough if any(_is_run(kind, setting, e) for e in entries)]


def counted(place: Place, kind: str) -> dict[PlaceSetting, int]:
    """Return the number of modules with each setting of ``latencies`` or ``accuracies``."""
    found: dict[PlaceSetting, int] = {}
    for entry in place.entries.values():
        for setting in getattr(entry, kind):
            found[setting] = found.get(setting, 0) + 1
    return found


def network(place: Place) -> str:
    """Return the backbone of the cost columns: the first one shared by the most modules."""
    found: dict[str, int] = {}
    for entry in place.entries.values():
        for backbone in entry.costs:
            found[backbone] = found.get(backbone, 0) + 1
    return max(found, key=lambda name: found[name]) if found else ""


def ranked(place: Place) -> list[OverviewEntry]:
    """Return the modules of a place by their first overhead, unmeasured ones last, then by name."""
    setting = next(iter(common(place, "latencies")), None)

    def key(entry: OverviewEntry) -> tuple[bool, float, str]:
        timed = entry.latencies.get(setting) if setting else None
        ratio = timed.ratio if timed else None
        return (ratio is None, ratio or 0.0, entry.module)

    return sorted(place.entries.values(), key=key)


def _is_run(kind: str, setting: PlaceSetting, entry: OverviewEntry) -> bool:
    result = getattr(entry, kind).get(setting)
    return result is not None and result.status != NOT_RUN


def _costs(place: Place) -> Iterator[OverviewColumn]:
    backbone = network(place)
    results = (result for entry in place.entries.values() for result in entry.costs.values())
    added = any(result.case.backbone for result in results)
    for key, title, unit in _COSTS:
        head = f"+ {title}" if added else title
        column = Column(head, unit, backbone, numeric=True)
        yield OverviewColumn(column, _counter(backbone, f"delta_{key}" if added else key))


def _counter(backbone: str, key: str) -> Callable[[OverviewEntry], str]:
    write = signed if key.startswith("delta_") else whole

    def text(entry: OverviewEntry) -> str:
        result = entry.costs.get(backbone)
        if result is None:
            return NOTHING
        value = result.values.get(key)
        return result.status if value is None else write(value)

    return text


def _latency(place: Place, setting: PlaceSetting, *, fused: bool = False) -> OverviewColumn:
    def timed(entry: OverviewEntry) -> Any:
        return (entry.fused if fused else entry.latencies).get(setting)

    def text(entry: OverviewEntry) -> str:
        cell = timed(entry)
        return NOTHING if cell is None else overhead(cell)

    def notes(entry: OverviewEntry) -> tuple[str, ...]:
        cell = timed(entry)
        return () if cell is None else latency_columns.footnotes_of(cell)[:2]

    cells = (entry.latencies[setting] for entry in _having(place, "latencies", setting))
    title = next((str(cell.runtime["title"]) for cell in cells if cell.runtime), setting.name)
    head = "Overhead, fused" if fused else "Overhead"
    return OverviewColumn(
        Column(head, "95%", f"{setting.backbone}, {title}", numeric=True), text, notes
    )


def _accuracy(place: Place, setting: PlaceSetting) -> OverviewColumn:
    def text(entry: OverviewEntry) -> str:
        trained = entry.accuracies.get(setting)
        return NOTHING if trained is None else accuracy_columns.figure(trained, "difference")

    def notes(entry: OverviewEntry) -> tuple[str, ...]:
        trained = entry.accuracies.get(setting)
        return () if trained is None else accuracy_columns.footnotes_of(trained)

    return OverviewColumn(
        Column("Top-1 to plain", "points, 95%", titled(place, setting), numeric=True), text, notes
    )


def titled(place: Place, setting: PlaceSetting) -> str:
    """Return the title of an accuracy, with the recipe where the place has two for these data."""
    shown = [other for other in common(place, "accuracies") if other[:2] == setting[:2]]
    recipe = f", {setting.recipe}" if len(shown) > 1 else ""
    return f"{setting.backbone}, {setting.name}{recipe}"


def _having(place: Place, kind: str, setting: PlaceSetting) -> list[OverviewEntry]:
    return [entry for entry in place.entries.values() if setting in getattr(entry, kind)]
