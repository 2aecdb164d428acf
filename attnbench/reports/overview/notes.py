"""What stands below a table of the overview: the plain network, and how figures were measured."""

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
        known = [(result.values.get(key), title) for key, title in named]  # old records lack some
        said = ", ".join(f"{whole(value)} {title}" for value, title in known if value is not None)
        yield f"Plain {network(place)}: {said}."


def _latency(place: Place, setting: PlaceSetting) -> Iterator[str]:
    found = [one.latencies.get(setting) for one in place.entries.values()]
    timed = [one for one in found if one is not None]
    plain = place.plain.latencies.get(setting)
    took = ""
    if plain is not None and plain.timing is not None:
        took = f" Plain takes {milliseconds(plain.timing.own.median)} ms."
    sampled = "".join(latency_notes([[one] for one in timed])).partition(": ")[2]
    if sampled:  # else nothing came of any timing: the cells and their footnotes say so
        yield f"{setting.backbone}, {head(setting.name, timed)}: {sampled}{took}"


def _accuracy(place: Place, setting: PlaceSetting) -> Iterator[str]:
    found = [one.accuracies.get(setting) for one in place.entries.values()]
    trained = [one for one in found if one is not None]
    facts = next((one.facts for one in trained if one.facts), None)
    if facts is None:  # nothing came of any training: the cells and their footnotes say so
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
        listed = ", ".join(f"{one.backbone} {one.name} ({n})" for one, n in sparse.items())
        yield f"In the runs, but of fewer than half of these modules or not measured: {listed}."
