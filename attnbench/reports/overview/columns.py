"""The columns of an overview, and the notes below its tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnbench.reports.overview.entries import OverviewEntry, Place, PlaceSetting
from attnbench.reports.tables import accuracy_columns, latency_columns
from attnbench.reports.tables.case_result import NOT_RUN
from attnbench.reports.tables.footnotes import Footnotes
from attnbench.reports.tables.latency_format import milliseconds, overhead
from attnbench.reports.tables.number_format import NOTHING, signed, whole
from attnbench.reports.tables.report import Cell, Column

if TYPE_CHECKING:
    from attnbench.reports.tables.row_views import CostResult

_COSTS = (("params", "Parameters", ""), ("macs", "MACs", ""), ("bytes", "Bytes", "unfused"))


@dataclass(frozen=True)
class OverviewColumn:
    """A column and the functions that find and format its result for an entry."""

    column: Column
    result: Callable[[OverviewEntry], Any]
    """Result of an entry; None without one."""
    text: Callable[[Any], str]
    notes: Callable[[Any], tuple[str, ...]] = lambda result: ()
    """Footnotes: the reason for a missing value, or a caveat about the value."""

    def cell(self, entry: OverviewEntry, notes: Footnotes) -> Cell:
        """Return the cell of an entry; its footnotes are added to those of the table."""
        result = self.result(entry)
        if result is None:
            return Cell(NOTHING)
        return Cell(self.text(result), notes=notes.add(*self.notes(result)))


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


def counted(place: Place, kind: str) -> Counter[PlaceSetting]:
    """Return the number of modules with each setting of ``latencies`` or ``accuracies``."""
    return Counter(setting for entry in place.entries.values() for setting in getattr(entry, kind))


def network(place: Place) -> str:
    """Return the backbone of the cost columns: the first one shared by the most modules."""
    found = Counter(backbone for entry in place.entries.values() for backbone in entry.costs)
    return max(found, key=lambda name: found[name], default="")


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
        yield _cost(column, backbone, f"delta_{key}" if added else key)


def _cost(column: Column, backbone: str, key: str) -> OverviewColumn:
    write = signed if key.startswith("delta_") else whole

    def text(result: CostResult) -> str:
        value = result.values.get(key)
        return result.status if value is None else write(value)

    return OverviewColumn(column, lambda entry: entry.costs.get(backbone), text)


def _latency(place: Place, setting: PlaceSetting, *, fused: bool = False) -> OverviewColumn:
    cells = [entry.latencies.get(setting) for entry in place.entries.values()]
    titles = (str(cell.runtime["title"]) for cell in cells if cell and cell.runtime)
    head = "Overhead, fused" if fused else "Overhead"
    group = f"{setting.backbone}, {next(titles, setting.name)}"
    return OverviewColumn(
        Column(head, "95%", group, numeric=True),
        lambda entry: (entry.fused if fused else entry.latencies).get(setting),
        overhead,
        lambda cell: latency_columns.footnotes_of(cell)[:2],
    )


def _accuracy(place: Place, setting: PlaceSetting) -> OverviewColumn:
    return OverviewColumn(
        Column("Top-1 to plain", "points, 95%", titled(place, setting), numeric=True),
        lambda entry: entry.accuracies.get(setting),
        lambda trained: accuracy_columns.figure(trained, "difference"),
        accuracy_columns.footnotes_of,
    )


def titled(place: Place, setting: PlaceSetting) -> str:
    """Return the title of an accuracy, with the recipe where the place has two for these data."""
    shown = [other for other in common(place, "accuracies") if other[:2] == setting[:2]]
    recipe = f", {setting.recipe}" if len(shown) > 1 else ""
    return f"{setting.backbone}, {setting.name}{recipe}"


def place_notes(place: Place) -> Iterator[str]:
    """Yield the sentences below the table of a place."""
    yield from _plain_costs(place)
    for setting in common(place, "latencies"):
        yield from _latency_note(place, setting)
    for setting in common(place, "accuracies"):
        yield from _accuracy_notes(place, setting)
    yield from _left_out(place)


def _plain_costs(place: Place) -> Iterator[str]:
    result = place.plain.costs.get(network(place))
    if result is not None and result.values:
        named = (("params", "parameters"), ("macs", "MACs"), ("bytes", "bytes"))
        counts = [(result.values.get(key), title) for key, title in named]  # old records lack some
        costs = ", ".join(f"{whole(value)} {title}" for value, title in counts if value is not None)
        yield f"Plain {network(place)}: {costs}."


def _latency_note(place: Place, setting: PlaceSetting) -> Iterator[str]:
    cells = [entry.latencies.get(setting) for entry in place.entries.values()]
    timed = [cell for cell in cells if cell is not None]
    plain = place.plain.latencies.get(setting)
    took = ""
    if plain is not None and plain.timing is not None:
        took = f" Plain takes {milliseconds(plain.timing.own.median)} ms."
    sampled = "".join(latency_columns.latency_notes([[cell] for cell in timed])).partition(": ")[2]
    if sampled:  # without any timing, the cells and their footnotes give the reason
        yield f"{setting.backbone}, {latency_columns.head(setting.name, timed)}: {sampled}{took}"


def _accuracy_notes(place: Place, setting: PlaceSetting) -> Iterator[str]:
    pairs = [entry.accuracies.get(setting) for entry in place.entries.values()]
    trained = [pair for pair in pairs if pair is not None]
    facts = next((pair.facts for pair in trained if pair.facts), None)
    if facts is None:  # without any training, the cells and their footnotes give the reason
        return
    recipe = (facts.get("recipe") or {}).get("name") or "unnamed"
    yield f"{setting.backbone} trained on {setting.name}, recipe {recipe}."
    plain = place.plain.accuracies.get(setting)
    mean = plain.mean() if plain is not None else None
    if mean is not None:
        yield f"Plain reaches {accuracy_columns.interval(mean)}% there."
    yield from accuracy_columns.accuracy_notes(trained)


def _left_out(place: Place) -> Iterator[str]:
    sparse = {
        setting: count
        for kind in ("latencies", "accuracies")
        for setting, count in counted(place, kind).items()
        if setting not in common(place, kind)
    }
    if sparse:
        listed = ", ".join(
            f"{setting.backbone} {setting.name} ({count})" for setting, count in sparse.items()
        )
        yield f"In the runs, but of fewer than half of these modules or not measured: {listed}."
