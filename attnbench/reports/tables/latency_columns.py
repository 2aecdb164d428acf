"""The columns that a table with latency has for each runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attnbench.reports.tables.case_result import NOT_RUN
from attnbench.reports.tables.footnotes import Footnotes
from attnbench.reports.tables.latency_format import figure
from attnbench.reports.tables.latency_results import LatencyCell
from attnbench.reports.tables.report import Cell, Column

if TYPE_CHECKING:
    from attnbench.suites.schema import Latency

_SUBJECTS = ("to plain, 95% interval, verdict", "in passes over the map, 95% interval")
"""Of modules in a network, and alone."""
NOT_FINITE = "the output is not finite"
"""As the measurement notes it."""
_HEADS = {
    "overhead": ("Overhead", "{subject}"),
    "median": ("Median", "ms"),
    "p90": ("p90", "ms"),
    "p99": ("p99", "ms"),
    "min": ("Minimum", "ms"),
    "throughput": ("Throughput", "images/s"),
    "peak": ("Peak memory", "live activations in fp32, analytic; measured on a GPU"),
    "export": ("Export and load", "s"),
    "floor": ("A/A floor", ""),
    "sqnr": ("SQNR", "dB against fp32 eager"),
    "top1": ("Top-1 agreement", "% with fp32 eager"),
}


def latency_columns(latency: Latency, rows: Sequence[Sequence[LatencyCell]]) -> Iterator[Column]:
    """Yield the columns of all runtimes, a group each."""
    for number, conditions in enumerate(latency.conditions()):
        column = [row[number] for row in rows]
        alone = all(one.case.backbone is None for one in column)
        words = {"subject": _SUBJECTS[alone]}
        group = head(str(conditions), column)
        for key in latency.columns:
            title, unit = _HEADS[key]
            yield Column(title, unit.format(**words), group, numeric=True)


def head(fallback: str, column: Sequence[LatencyCell]) -> str:
    """Return runtime, precision, batch, threads and processor: of merged runs, every one."""
    heads = dict.fromkeys(_head(one) for one in column if one.timing)
    return " / ".join(heads) or fallback


def _head(measured: LatencyCell) -> str:
    conditions, runtime = measured.conditions, measured.runtime
    threads = f"{conditions.threads} thread" + ("s" if conditions.threads > 1 else "")
    parts = [
        runtime_title(runtime),
        conditions.precision,
        f"batch {conditions.batch}",
        *([threads] if conditions.device == "cpu" else []),
        *(["cold cache"] if conditions.cold else []),
        *(["CUDA graph"] if conditions.graph else []),
        machine(runtime, conditions.device),
    ]
    return ", ".join(parts)


def runtime_title(runtime: Mapping[str, Any]) -> str:
    """Return ``ONNX Runtime (onnxruntime 1.32.0)``; the record has the other versions."""
    versions = runtime.get("versions") or {}
    own = [f"{name} {version}" for name, version in versions.items() if name != "python"]
    return f"{runtime['title']} ({own[0]})" if own else str(runtime["title"])


def machine(runtime: Mapping[str, Any], device: str) -> str:
    """Return processor and instruction set, or the device."""
    if device != "cpu":
        return str((runtime.get("device") or {}).get("title") or device)
    return f"{runtime['processor']} {runtime['isa']}"


def latency_cells(latency: Latency, row: Sequence[LatencyCell], notes: Footnotes) -> Iterator[Cell]:
    """Yield a row's cells of all runtimes."""
    for one in row:
        numbers = notes.add(*footnotes_of(one))
        for place, key in enumerate(latency.columns):
            yield Cell(figure(one, key), notes=numbers if place == 0 else ())


def latency_notes(rows: Sequence[Sequence[LatencyCell]]) -> Iterator[str]:
    """Yield a sentence for each runtime: how often it was sampled, and its floor."""
    for column in zip(*rows, strict=True):
        measured = [one for one in column if one.timing and one.judgement]
        if measured:
            yield f"{measured[0].runtime['title']}{_precision(measured[0])}: {_effort(measured)}."


def _precision(one: LatencyCell) -> str:
    return "" if one.conditions.precision == "fp32" else f", {one.conditions.precision}"


def _effort(measured: Sequence[LatencyCell]) -> str:
    timings = [one.timing for one in measured if one.timing]
    processes = {one.arm.processes for one in timings}
    pairs = sorted(one.arm.pairs for one in timings)
    floor = max(one.judgement.floor for one in measured if one.judgement)
    fewest, most = min(processes), max(processes)
    count = str(fewest) if fewest == most else f"{fewest} to {most}"
    noun = "process" if most == 1 else "fresh processes"
    rounds = str(pairs[0]) if pairs[0] == pairs[-1] else f"{pairs[0]} to {pairs[-1]}"
    return f"{rounds} rounds from {count} {noun}, A/A floor at most {100 * floor:.1f}%"


def footnotes_of(one: LatencyCell) -> tuple[str, ...]:
    """Return what is to be said of a result: failed, not trusted, off the fast path."""
    return (_failure(one), _distrust(one), _not_finite(one), _fallbacks(one))


def _failure(one: LatencyCell) -> str:
    if one.timing is not None or one.status == NOT_RUN:  # the cell says that
        return ""
    return f"{one.case.name}: {one.status}" + (f": {one.reason}" if one.reason else "")


def _distrust(one: LatencyCell) -> str:
    if one.judgement is None or one.judgement.trust == "ok":
        return ""
    return f"No verdict: {one.judgement.trust.rstrip('.')}."


def _not_finite(one: LatencyCell) -> str:
    notes = one.runtime.get("notes") or []
    return f"{one.case.name}: {NOT_FINITE}." if NOT_FINITE in notes else ""


def _fallbacks(one: LatencyCell) -> str:
    found = one.runtime.get("fallbacks") or {}
    if not found:
        return ""
    listed = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in found.items())
    return f"{one.runtime['title']}, off the fast path: {listed}."
