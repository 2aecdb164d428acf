"""The notes below a table of the overview: the plain network and the measurement settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attnbench.reports.overview.columns import common, counted, network
from attnbench.reports.overview.entries import Place, PlaceSetting
from attnbench.reports.tables.accuracy_columns import accuracy_notes, interval
from attnbench.reports.tables.latency_columns import head, latency_notes
from attnbench.reports.tables.latency_format import milliseconds
from attnbench.reports.tables.number_format import whole


def place_notes(place: Place) -> Iterator[str]:
    """Yield the sentences below the table of a place."""
    yield from _plain_costs(place)
    for setting in common(place, "latencies"):
        yield from _latency(place, setting)
    for setting in common(place, "accuracies"):
        yield from _accuracy(place, setting)
    yield from _left_out(place)


def _plain_costs(place: Place) -> Iterator[str]:
    result = place.plain.costs.get(network(place))
    if result is not None and result.values:
        named = (("params", "parameters"), ("macs", "MACs"), ("bytes", "bytes"))
        counts = [(result.values.get(key), title) for key, title in named]  # old records lack some
        costs = ", ".join(f"{whole(value)} {title}" for value, title in counts if value is not None)
        yield f"Plain {network(place)}: {costs}."


def _latency(place: Place, setting: PlaceSetting) -> Iterator[str]:
    cells = [entry.latencies.get(setting) for entry in place.entries.values()]
    timed = [cell for cell in cells if cell is not None]
    plain = place.plain.latencies.get(setting)
    took = ""
    if plain is not None and plain.timing is not None:
        took = f" Plain takes {milliseconds(plain.timing.own.median)} ms."
    sampled = "".join(latency_notes([[cell] for cell in timed])).partition(": ")[2]
    if sampled:  # without any timing, the cells and their footnotes give the reason
        yield f"{setting.backbone}, {head(setting.name, timed)}: {sampled}{took}"


def _accuracy(place: Place, setting: PlaceSetting) -> Iterator[str]:
    pairs = [entry.accuracies.get(setting) for entry in place.entries.values()]
    trained = [pair for pair in pairs if pair is not None]
    facts = next((pair.facts for pair in trained if pair.facts), None)
    if facts is None:  # without any training, the cells and their footnotes give the reason
        return
    yield _trained_on(setting, facts)
    plain = place.plain.accuracies.get(setting)
    mean = plain.mean() if plain is not None else None
    if mean is not None:
        yield f"Plain reaches {interval(mean)}% there."
    yield from accuracy_notes(trained)


def _trained_on(setting: PlaceSetting, facts: Any) -> str:
    recipe = (facts.get("recipe") or {}).get("name") or "unnamed"
    return f"{setting.backbone} trained on {setting.name}, recipe {recipe}."


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
