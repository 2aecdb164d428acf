"""The columns of an overview: each reads one figure of an entry."""

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
    """A column, and what it says of an entry."""

    column: Column
    text: Callable[[OverviewEntry], str]
    notes: Callable[[OverviewEntry], tuple[str, ...]] = lambda entry: ()
    """Footnotes: why there is no value, or what is wrong with it."""


def figures(place: Place) -> Iterator[OverviewColumn]:
    """Yield the columns of a place; what fewer than half of its modules have is none of them."""
    yield from _costs(place)
    for setting in common(place, "latencies"):
        yield _latency(place, setting)
        if any(setting in entry.fused for entry in place.entries.values()):
            yield _latency(place, setting, fused=True)
    for setting in common(place, "accuracies"):
        yield _accuracy(place, setting)


def common(place: Place, kind: str) -> list[PlaceSetting]:
    """Return the settings of a kind that at least half of the modules have, measured for some."""
    found = counted(place, kind)
    enough = [one for one, count in found.items() if 2 * count >= len(place.entries)]
    return [one for one in enough if any(_is_run(kind, one, e) for e in place.entries.values())]


def counted(place: Place, kind: str) -> dict[PlaceSetting, int]:
    """Return how many modules have each setting of ``latencies`` or ``accuracies``."""
    found: dict[PlaceSetting, int] = {}
    for entry in place.entries.values():
        for setting in getattr(entry, kind):
            found[setting] = found.get(setting, 0) + 1
    return found


def network(place: Place) -> str:
    """Return the backbone whose costs are shown: the first that most of the modules are in."""
    found: dict[str, int] = {}
    for entry in place.entries.values():
        for backbone in entry.costs:
            found[backbone] = found.get(backbone, 0) + 1
    return max(found, key=lambda one: found[one]) if found else ""


def ranked(place: Place) -> list[OverviewEntry]:
    """Return the modules of a place by their first overhead; unmeasured ones last, by name."""
    setting = next(iter(common(place, "latencies")), None)

    def key(entry: OverviewEntry) -> tuple[bool, float, str]:
        timed = entry.latencies.get(setting) if setting else None
        ratio = timed.ratio if timed else None
        return (ratio is None, ratio or 0.0, entry.module)

    return sorted(place.entries.values(), key=key)


def _is_run(kind: str, setting: PlaceSetting, entry: OverviewEntry) -> bool:
    one = getattr(entry, kind).get(setting)
    return one is not None and one.status != NOT_RUN


def _costs(place: Place) -> Iterator[OverviewColumn]:
    backbone = network(place)
    results = (one for entry in place.entries.values() for one in entry.costs.values())
    added = any(one.case.backbone for one in results)
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
        one = timed(entry)
        return NOTHING if one is None else overhead(one)

    def notes(entry: OverviewEntry) -> tuple[str, ...]:
        one = timed(entry)
        return () if one is None else latency_columns.footnotes_of(one)[:2]

    titles = (one.latencies[setting] for one in _having(place, "latencies", setting))
    title = next((str(one.runtime["title"]) for one in titles if one.runtime), setting.name)
    head = "Overhead, fused" if fused else "Overhead"
    return OverviewColumn(
        Column(head, "95%", f"{setting.backbone}, {title}", numeric=True), text, notes
    )


def _accuracy(place: Place, setting: PlaceSetting) -> OverviewColumn:
    def text(entry: OverviewEntry) -> str:
        one = entry.accuracies.get(setting)
        return NOTHING if one is None else accuracy_columns.figure(one, "difference")

    def notes(entry: OverviewEntry) -> tuple[str, ...]:
        one = entry.accuracies.get(setting)
        return () if one is None else accuracy_columns.footnotes_of(one)

    return OverviewColumn(
        Column("Top-1 to plain", "points, 95%", titled(place, setting), numeric=True), text, notes
    )


def titled(place: Place, setting: PlaceSetting) -> str:
    """Return what an accuracy is of; the recipe as well where the place has two on these data."""
    shown = [one for one in common(place, "accuracies") if one[:2] == setting[:2]]
    recipe = f", {setting.recipe}" if len(shown) > 1 else ""
    return f"{setting.backbone}, {setting.name}{recipe}"


def _having(place: Place, kind: str, setting: PlaceSetting) -> list[OverviewEntry]:
    return [one for one in place.entries.values() if setting in getattr(one, kind)]
