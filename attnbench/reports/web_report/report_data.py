"""The data of the interactive report: rows of modules and placements, metrics, provenance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from attnbench.records.format import Header
from attnbench.records.store import Run
from attnbench.reports.figures.family_styles import PLAIN_NETWORK, UNDECLARED, WIDER
from attnbench.reports.overview.columns import runtime_title
from attnbench.reports.overview.entries import OverviewEntry, Place, PlaceSetting, collect
from attnbench.reports.overview.tradeoff import gain_of, overhead_of
from attnbench.reports.run_report import planned_of
from attnbench.reports.tables.accuracy_columns import learning_notes
from attnbench.reports.tables.accuracy_results import PairedTrainings
from attnbench.reports.tables.case_results import CostResult, LatencyCell
from attnbench.reports.tables.latency_columns import short_setting
from attnbench.reports.tables.verdict_marks import verdict_word

_COUNTS = {"params": "params", "macs": "MACs", "bytes": "bytes"}
_NOTHING = (None,) * 5
Value = list[Any]
"""``[value, low, high, word, note]``: the word is a verdict or a status; trailing nulls are cut."""


@dataclass
class ReportData:
    """The rows of several runs; the first run with a value takes precedence."""

    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Kind, label, backbone and machine of each metric, by key."""
    rows: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """Rows by placement and module."""
    cards: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Cards by module."""
    runs: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that the page reads: values by metric, which pack well."""
        rows = [
            {name: row[name] for name in ("module", "family", "place", "sites")}
            for row in self.rows.values()
        ]
        return {
            "metrics": [
                {"key": key, **metric, **self._column(key)} for key, metric in self.metrics.items()
            ],
            "rows": rows,
            "cards": self.cards,
            "runs": self.runs,
        }

    def _column(self, key: str) -> dict[str, list[Any]]:
        """Return the rows that have a metric, by number, and the parts of their values."""
        found = {n: row["values"].get(key) for n, row in enumerate(self.rows.values())}
        values = {n: [*value, *_NOTHING[len(value) :]] for n, value in found.items() if value}
        parts = [list(part) for part in zip(*values.values(), strict=True)]
        while len(parts) > 1 and not any(part is not None for part in parts[-1]):
            parts.pop()
        return {"at": list(values), "parts": parts}


def report_data(runs: Sequence[Run]) -> ReportData:
    """Return the data of runs."""
    data = ReportData()
    for run in runs:
        data.runs.append(_provenance(run))
        for place in collect([planned_of(run)]):
            _add_place(data, place, run)
    return data


def _provenance(run: Run) -> dict[str, Any]:
    suite, _, _ = planned_of(run)
    header = run.header
    return {
        "name": header.suite_name,
        "title": suite.suite.title,
        "date": str(header.date or "")[:10],
        "commit": header.commit or "",
        "machine": _machine(header),
        "versions": run.measured_with(),
        "notes": list(suite.suite.notes),
    }


def _machine(header: Header) -> str:
    machine = header.machine
    cores = f"{machine['cores']} cores" if machine.get("cores") else ""
    parts = (machine.get("processor"), cores, machine.get("system"))
    return ", ".join(str(part) for part in parts if part)


def _add_place(data: ReportData, place: Place, run: Run) -> None:
    entries = [
        (entry.module, entry.card.get("family") or UNDECLARED, entry)
        for entry in place.entries.values()
    ]
    controls = [(PLAIN_NETWORK, PLAIN_NETWORK, place.plain)]
    controls += [(f"wider: {name}", WIDER, entry) for name, entry in place.wider.items()]
    for name, family, entry in [*controls, *entries]:
        key = (place.name, name)
        row = data.rows.setdefault(
            key, {"module": name, "family": family, "place": place.name, "sites": 0, "values": {}}
        )
        sites = (len(result.slots) for result in entry.costs.values())
        row["sites"] = max(row["sites"], *sites, 0)
        for metric, described, value in _values(place, entry, run):
            data.metrics.setdefault(metric, described)
            row["values"].setdefault(metric, value)
        if entry.card:
            data.cards.setdefault(name, entry.card)


_Measured = Iterator[tuple[str, dict[str, Any], Value]]


def _values(place: Place, entry: OverviewEntry, run: Run) -> _Measured:
    for backbone, result in entry.costs.items():
        yield from _costs(place, backbone, result)
    for form, cells in (("", entry.latencies), ("fused", entry.fused)):
        for setting, cell in cells.items():
            yield from _latency(place, setting, cell, form, run)
    for setting, pair in entry.accuracies.items():
        yield from _accuracy(setting, pair)


def _costs(place: Place, backbone: str, result: CostResult) -> _Measured:
    plain = place.plain.costs.get(backbone)
    for key, label in _COUNTS.items():
        count, base = result.values.get(key), plain and plain.values.get(key)
        described = {"backbone": backbone, "label": label}
        yield (
            f"{backbone}|{key}",
            {**described, "kind": "count"},
            _value(count, word="" if count is not None else result.status),
        )
        if count is not None and base:
            percent = 100 * (count / base - 1)
            described = {**described, "label": f"+{label}", "kind": "percent"}
            yield f"{backbone}|{key}%", described, _value(percent)


def _latency(
    place: Place, setting: PlaceSetting, cell: LatencyCell, form: str, run: Run
) -> _Measured:
    label = f"{short_setting(setting.name)}{' fused' * bool(form)}"
    described = {"backbone": setting.backbone, "runtime": runtime_title(place, setting)}
    key = f"{setting.backbone}|{setting.name}|{form}"
    mark = overhead_of(cell)
    if mark is None:
        value = _value(None, word=cell.status, note=cell.failure(cell.case.name))
    elif cell.timing is not None and cell.timing.is_plain:
        value = _value(0.0, word=PLAIN_NETWORK)
    else:
        low, middle, high = mark
        value = _value(middle, low, high, cell.judgment.verdict if cell.judgment else "")
    yield key, {**described, "kind": "overhead", "label": label}, value
    if cell.timing is not None:
        machine = _machine(run.header_of[cell.case.name])
        milliseconds = _value(1000 * cell.timing.own.median)
        described = {**described, "machine": machine, "label": f"{label}, ms"}
        yield f"{key}|ms|{machine}", {**described, "kind": "milliseconds"}, milliseconds
    if peak := cell.values.get("peak_bytes"):
        described = {**described, "kind": "count", "label": f"{label}, peak bytes"}
        yield f"{key}|peak", described, _value(peak)


def _accuracy(setting: PlaceSetting, pair: PairedTrainings) -> _Measured:
    described = {
        "backbone": setting.backbone,
        "label": f"Top-1 on {setting.name}",
        "kind": "points",
        "recipe": setting.recipe,
    }
    key = f"{setting.backbone}|{setting.name}|{setting.recipe}"
    mark = None if pair.is_plain else gain_of(pair)
    if mark is None:
        word = PLAIN_NETWORK if pair.is_plain and pair.own else pair.status
        yield key, described, _value(0.0 if word == PLAIN_NETWORK else None, word=word)
        return
    low, middle, high = mark
    notes = list(learning_notes(pair))
    word = "did not learn" if notes else verdict_word(str(pair.judgment or ""))
    yield key, described, _value(middle, low, high, word, " ".join(notes))


def _value(
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    word: str = "",
    note: str = "",
) -> Value:
    numbers = [None if number is None else _rounded(number) for number in (value, low, high)]
    found: Value = [*numbers, word or None, note or None]
    while len(found) > 1 and found[-1] is None:
        found.pop()
    return found


def _rounded(value: float) -> float | int | None:
    """Return a number with four digits, a count as it is, and null for one that is not finite."""
    if isinstance(value, int):
        return value
    text = format(value, ".4g")
    return float(text) if text not in ("inf", "-inf", "nan") else None
