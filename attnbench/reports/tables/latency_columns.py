"""The latency columns of a table, for each runtime."""

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
"""Units of the overhead: for modules in a network, and for modules alone."""
NOT_FINITE = "the output is not finite"
"""Note that the measurement records for non-finite output."""
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
    """Yield the columns of all runtimes, one group per runtime."""
    for number, conditions in enumerate(latency.conditions()):
        column = [row[number] for row in rows]
        alone = all(cell.case.backbone is None for cell in column)
        words = {"subject": _SUBJECTS[alone]}
        group = head(str(conditions), column)
        for key in latency.columns:
            title, unit = _HEADS[key]
            yield Column(title, unit.format(**words), group, numeric=True)


def head(fallback: str, column: Sequence[LatencyCell]) -> str:
    """Return runtime, precision, batch, threads and processor, for each of several merged runs."""
    heads = dict.fromkeys(_head(cell) for cell in column if cell.timing)
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
    """Return ``ONNX Runtime (onnxruntime 1.32.0)``; the record holds the other versions."""
    versions = runtime.get("versions") or {}
    own = [f"{name} {version}" for name, version in versions.items() if name != "python"]
    return f"{runtime['title']} ({own[0]})" if own else str(runtime["title"])


def machine(runtime: Mapping[str, Any], device: str) -> str:
    """Return the processor with its instruction set, or the device."""
    if device != "cpu":
        return str((runtime.get("device") or {}).get("title") or device)
    return f"{runtime['processor']} {runtime['isa']}"


def latency_cells(latency: Latency, row: Sequence[LatencyCell], notes: Footnotes) -> Iterator[Cell]:
    """Yield a row's cells for all runtimes."""
    for cell in row:
        numbers = notes.add(*footnotes_of(cell))
        for place, key in enumerate(latency.columns):
            yield Cell(figure(cell, key), notes=numbers if place == 0 else ())


def latency_notes(rows: Sequence[Sequence[LatencyCell]]) -> Iterator[str]:
    """Yield a sentence for each runtime, with its number of rounds and its noise floor."""
    for column in zip(*rows, strict=True):
        measured = [cell for cell in column if cell.timing and cell.judgment]
        if measured:
            yield f"{measured[0].runtime['title']}{_precision(measured[0])}: {_effort(measured)}."


def _precision(cell: LatencyCell) -> str:
    return "" if cell.conditions.precision == "fp32" else f", {cell.conditions.precision}"


def _effort(measured: Sequence[LatencyCell]) -> str:
    timings = [cell.timing for cell in measured if cell.timing]
    processes = {timing.arm.processes for timing in timings}
    pairs = sorted(timing.arm.pairs for timing in timings)
    floor = max(cell.judgment.floor for cell in measured if cell.judgment)
    fewest, most = min(processes), max(processes)
    count = str(fewest) if fewest == most else f"{fewest} to {most}"
    noun = "process" if most == 1 else "fresh processes"
    rounds = str(pairs[0]) if pairs[0] == pairs[-1] else f"{pairs[0]} to {pairs[-1]}"
    return f"{rounds} rounds from {count} {noun}, A/A floor at most {100 * floor:.1f}%"


def footnotes_of(one: LatencyCell) -> tuple[str, ...]:
    """Return the footnotes of a result: failure, distrust, non-finite output, fallbacks."""
    return (_failure(one), _distrust(one), _not_finite(one), _fallbacks(one))


def _failure(cell: LatencyCell) -> str:
    if cell.timing is not None or cell.status == NOT_RUN:  # the cell shows this status
        return ""
    return f"{cell.case.name}: {cell.status}" + (f": {cell.reason}" if cell.reason else "")


def _distrust(cell: LatencyCell) -> str:
    if cell.judgment is None or cell.judgment.trust == "ok":
        return ""
    return f"No verdict: {cell.judgment.trust.rstrip('.')}."


def _not_finite(cell: LatencyCell) -> str:
    notes = cell.runtime.get("notes") or []
    return f"{cell.case.name}: {NOT_FINITE}." if NOT_FINITE in notes else ""


def _fallbacks(cell: LatencyCell) -> str:
    found = cell.runtime.get("fallbacks") or {}
    if not found:
        return ""
    listed = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in found.items())
    return f"{cell.runtime['title']}, off the fast path: {listed}."
