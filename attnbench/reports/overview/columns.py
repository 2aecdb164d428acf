"""The columns of an overview, and the notes below its tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from attnbench.reports.overview.entries import OverviewEntry, Place, PlaceSetting
from attnbench.reports.tables import accuracy_columns, latency_columns
from attnbench.reports.tables.accuracy_results import PairedTrainings
from attnbench.reports.tables.case_results import NOT_RUN, CostResult
from attnbench.reports.tables.footnotes import Footnotes
from attnbench.reports.tables.number_format import NOTHING, whole, with_sign
from attnbench.reports.tables.report import Cell, Column, TextHead
from attnbench.reports.tables.verdict_marks import verdict_word

_COSTS = (
    ("params", "Parameters", "", TextHead("Params", 30, "params")),
    ("macs", "MACs", "", TextHead("MACs", 35, "macs")),
    ("bytes", "Bytes", "unfused", TextHead("Bytes", 50, "bytes")),
)


@dataclass(frozen=True)
class OverviewColumn:
    """A column and the functions that find and format its result for an entry."""

    column: Column
    result: Callable[[OverviewEntry], Any]
    """Result of an entry; None without one."""
    text: Callable[[Any], str]
    notes: Callable[[Any], tuple[str, ...]] = lambda result: ()
    """Footnotes: the reason for a missing value, or a caveat about the value."""
    parts: Callable[[Any], tuple[str, ...]] = lambda result: ()
    """Texts of the columns on a terminal, if they are several."""
    brief: bool = False
    """Whether a brief table has it."""

    def cell(self, entry: OverviewEntry, notes: Footnotes) -> Cell:
        """Return the cell of an entry; its footnotes are added to those of the table."""
        result = self.result(entry)
        if result is None:
            return Cell(NOTHING)
        marks = notes.add(*self.notes(result))
        return Cell(self.text(result), notes=marks, parts=self.parts(result))


def figures(place: Place) -> Iterator[OverviewColumn]:
    """Yield the columns of a place; settings of fewer than half of its modules are left out."""
    yield from _costs(place)
    for setting in common(place, "latencies"):
        yield _latency(place, setting, "latencies", "Overhead")
        if place.results("fused", setting):
            yield _latency(place, setting, "fused", "Overhead, fused")
    for setting in common(place, "accuracies"):
        yield _accuracy(place, setting)


def common(place: Place, kind: str) -> list[PlaceSetting]:
    """Return the settings of a kind in at least half of the modules that are measured for some."""
    return [
        setting
        for setting, count in count_settings(place, kind).items()
        if 2 * count >= len(place.entries)
        and any(result.status != NOT_RUN for result in place.results(kind, setting))
    ]


def count_settings(place: Place, kind: str) -> Counter[PlaceSetting]:
    """Return the number of modules with each setting of ``latencies`` or ``accuracies``."""
    return Counter(setting for entry in place.entries.values() for setting in getattr(entry, kind))


def network(place: Place) -> str:
    """Return the backbone of the cost columns: the first one shared by the most modules."""
    found = Counter(backbone for entry in place.entries.values() for backbone in entry.costs)
    return max(found, key=lambda name: found[name], default="")


def runtime_title(place: Place, setting: PlaceSetting) -> str:
    """Return the title of a setting's runtime, or its name where no module was timed."""
    cells = place.results("latencies", setting)
    return next(
        (str(cell.runtime.get("title", "")) for cell in cells if cell.runtime), setting.name
    )


def rank(place: Place) -> list[OverviewEntry]:
    """Return the modules of a place by their first overhead, unmeasured ones last, then by name."""
    setting = next(iter(common(place, "latencies")), None)

    def key(entry: OverviewEntry) -> tuple[bool, float, str]:
        cell = entry.latencies.get(setting) if setting else None
        ratio = cell.ratio if cell else None
        return (ratio is None, ratio or 0.0, entry.module)

    shown = place.chosen or place.entries
    return sorted((place.entries[name] for name in shown if name in place.entries), key=key)


def _costs(place: Place) -> Iterator[OverviewColumn]:
    backbone = network(place)
    results = (result for entry in place.entries.values() for result in entry.costs.values())
    added = any(result.case.backbone for result in results)
    for key, title, unit, short in _COSTS:
        shown = replace(short, head=f"+{short.head}" if added else short.head)
        full = f"+ {title}" if added else title
        column = Column(full, unit, backbone, numeric=True, shown=(shown,))
        text = _count(f"delta_{key}", with_sign) if added else _count(key, whole)
        yield OverviewColumn(
            column, lambda entry: entry.costs.get(backbone), text, brief=key == "params"
        )


def _count(key: str, write: Callable[[int], str]) -> Callable[[CostResult], str]:
    def text(result: CostResult) -> str:
        value = result.values.get(key)
        return result.status if value is None else write(value)

    return text


def _latency(place: Place, setting: PlaceSetting, kind: str, head: str) -> OverviewColumn:
    group = f"{setting.backbone}, {runtime_title(place, setting)}"
    short = latency_columns.short_setting(setting.name)
    first = setting == common(place, "latencies")[0]
    priority = (0 if first else 10) if kind == "latencies" else 20
    fused = " fused" if kind == "fused" else ""
    shown = latency_columns.overhead_heads(f"{short}{fused}", short, priority)
    return OverviewColumn(
        Column(head, "95%", group, numeric=True, shown=shown),
        lambda entry: getattr(entry, kind).get(setting),
        latency_columns.overhead,
        lambda cell: latency_columns.footnotes_of(cell)[:2],
        latency_columns.overhead_parts,
        brief=kind == "latencies",
    )


def _accuracy(place: Place, setting: PlaceSetting) -> OverviewColumn:
    group = _trained_on(place, setting)
    shown = accuracy_columns.difference_heads("Top-1", f"Top-1 on {setting.name}", 15)
    return OverviewColumn(
        Column("Top-1 to plain", "points, 95%", group, numeric=True, shown=shown),
        lambda entry: entry.accuracies.get(setting),
        lambda pair: accuracy_columns.figure(pair, "difference"),
        accuracy_columns.footnotes_of,
        accuracy_columns.difference_parts,
        brief=True,
    )


def _trained_on(place: Place, setting: PlaceSetting) -> str:
    same_data = [other for other in common(place, "accuracies") if other[:2] == setting[:2]]
    recipe = f", {setting.recipe}" if len(same_data) > 1 else ""
    return f"{setting.backbone}, {setting.name}{recipe}"


def accuracy_verdict(place: Place, setting: PlaceSetting) -> OverviewColumn:
    """Return the column with the verdict on the accuracy on a data set, in a word."""
    head = TextHead("Accuracy", 15, setting=f"Top-1 on {setting.name}")
    return OverviewColumn(
        Column("Accuracy", group=_trained_on(place, setting), shown=(head,)),
        lambda entry: entry.accuracies.get(setting),
        _accuracy_verdict,
    )


def _accuracy_verdict(pair: PairedTrainings) -> str:
    if any(accuracy_columns.learning_notes(pair)):
        return "did not learn"
    return verdict_word(str(pair.judgment)) if pair.judgment else pair.status


def place_notes(place: Place) -> Iterator[str]:
    """Yield the sentences below the table of a place."""
    result = place.plain.costs.get(network(place))
    if result is not None and result.values:
        named = (("params", "parameters"), ("macs", "MACs"), ("bytes", "bytes"))
        counts = [(result.values.get(key), title) for key, title in named]  # old records lack some
        costs = ", ".join(f"{whole(value)} {title}" for value, title in counts if value is not None)
        yield f"Plain {network(place)}: {costs}."
    for setting in common(place, "latencies"):
        yield from _latency_note(place, setting)
    for setting in common(place, "accuracies"):
        yield from _accuracy_notes(place, setting)
    yield from _left_out(place)


def _latency_note(place: Place, setting: PlaceSetting) -> Iterator[str]:
    cells = place.results("latencies", setting)
    plain = place.plain.latencies.get(setting)
    took = ""
    if plain is not None and plain.timing is not None:
        milliseconds = latency_columns.milliseconds(plain.timing.own.median)
        took = f" Plain takes {milliseconds} ms."
    sampled = "".join(latency_columns.latency_notes([[cell] for cell in cells])).partition(": ")[2]
    if sampled:  # without any timing, the cells and their footnotes give the reason
        yield f"{setting.backbone}, {latency_columns.head(setting.name, cells)}: {sampled}{took}"


def _accuracy_notes(place: Place, setting: PlaceSetting) -> Iterator[str]:
    pairs = place.results("accuracies", setting)
    measured = next((pair for pair in pairs if pair.facts), None)
    if measured is None:  # without any training, the cells and their footnotes give the reason
        return
    recipe = measured.recipe.get("name") or "unnamed"
    yield f"{setting.backbone} trained on {setting.name}, recipe {recipe}."
    plain = place.plain.accuracies.get(setting)
    mean = plain.mean() if plain is not None else None
    if mean is not None:
        yield f"Plain reaches {accuracy_columns.interval(mean)}% there."
    yield from accuracy_columns.accuracy_notes(pairs)


def _left_out(place: Place) -> Iterator[str]:
    listed = ", ".join(
        f"{setting.backbone} {setting.name} ({count})"
        for kind in ("latencies", "accuracies")
        for setting, count in count_settings(place, kind).items()
        if setting not in common(place, kind)
    )
    if listed:
        yield f"In the runs, but of fewer than half of these modules or not measured: {listed}."
