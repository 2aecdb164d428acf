"""The latency columns of a table, for each runtime, and their values as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attnbench.reports.tables.case_results import LatencyCell
from attnbench.reports.tables.footnotes import Footnotes
from attnbench.reports.tables.number_format import NOTHING
from attnbench.reports.tables.report import Cell, Column, TextHead
from attnbench.suites.case import GRAPHED
from attnbench.suites.schema import Latency

_SUBJECTS = ("to plain, 95% interval, verdict", "in passes over the map, 95% interval")
"""Units of the overhead: for modules in a network, and for modules alone."""
_LAUNCH_BOUND = 0.9
"""Share of the time on a device above which its figures are those of launching."""
NOT_FINITE = "the output is not finite"
"""Note that the measurement records for non-finite output."""


def latency_columns(latency: Latency, rows: Sequence[Sequence[LatencyCell]]) -> Iterator[Column]:
    """Yield the columns of all runtimes, one group per runtime."""
    settings = [short_setting(str(conditions)) for conditions in latency.conditions()]
    for number, (conditions, setting) in enumerate(
        zip(latency.conditions(), settings, strict=True)
    ):
        column = [row[number] for row in rows]
        subject = _SUBJECTS[all(cell.case.backbone is None for cell in column)]
        group = head(str(conditions), column)
        for key in latency.columns:
            title, unit, _ = _COLUMNS[key]
            shown = _shown(key, setting, alone=len(settings) == 1, first=number == 0)
            yield Column(title, unit.format(subject=subject), group, numeric=True, shown=shown)


_SHORT_RUNTIMES = {"eager-channels-last": "Eager NHWC", "onnxruntime": "ORT"}


def short_setting(conditions: str) -> str:
    """Return the head of a runtime: ``Eager``, ``ORT``, ``Eager batch=8``."""
    name, _, rest = conditions.partition(",")
    short = _SHORT_RUNTIMES.get(name, name.capitalize())
    return f"{short} {rest.replace(',', ' ')}" if rest else short


def overhead_heads(head: str, setting: str, priority: int) -> tuple[TextHead, ...]:
    """Return the heads of an overhead: the estimate, its interval and its verdict."""
    return (
        TextHead(head, priority, "overhead", setting=setting),
        TextHead("95%", priority + 30, "interval", name=f"{head} 95%"),
        TextHead("Verdict", priority, "verdict", name=f"{head} verdict", is_verdict=True),
    )


def _shown(key: str, setting: str, *, alone: bool, first: bool) -> tuple[TextHead, ...]:
    """Return a column's heads on a terminal; those of several runtimes have its name."""
    if key == "overhead":
        return overhead_heads("Overhead" if alone else setting, setting, 0 if first else 10)
    short, priority = _SHORT[key]
    head = short if alone else f"{setting} {short}"
    return (TextHead(head, priority + (not first), key, setting=setting),)


def head(fallback: str, column: Sequence[LatencyCell]) -> str:
    """Return runtime, precision, batch, threads and processor, for each of several merged runs."""
    heads = dict.fromkeys(_head(cell) for cell in column if cell.timing)
    return " / ".join(heads) or fallback


def _head(measured: LatencyCell) -> str:
    conditions, runtime = measured.conditions, measured.runtime
    threads = f"{conditions.threads} thread" + ("s" if conditions.threads > 1 else "")
    parts = [
        _runtime_title(runtime),
        conditions.precision,
        f"batch {conditions.batch}",
        *([threads] if conditions.device == "cpu" else []),
        *(["cold cache"] if conditions.cold else []),
        *(["CUDA graph"] if conditions.graph else []),
        _machine(runtime, conditions.device),
    ]
    return ", ".join(parts)


def _runtime_title(runtime: Mapping[str, Any]) -> str:
    """Return ``ONNX Runtime (onnxruntime 1.32.0)``; the record holds the other versions."""
    versions = runtime.get("versions") or {}
    own = [f"{name} {version}" for name, version in versions.items() if name != "python"]
    return f"{runtime.get('title', '')} ({own[0]})" if own else str(runtime.get("title", ""))


def _machine(runtime: Mapping[str, Any], device: str) -> str:
    if device != "cpu":
        return str((runtime.get("device") or {}).get("title") or device)
    return f"{runtime.get('processor', '')} {runtime.get('isa', '')}"


def latency_cells(latency: Latency, row: Sequence[LatencyCell], notes: Footnotes) -> Iterator[Cell]:
    """Yield a row's cells for all runtimes."""
    for cell in row:
        numbers = notes.add(*footnotes_of(cell))
        for place, key in enumerate(latency.columns):
            parts = overhead_parts(cell) if key == "overhead" else ()
            yield Cell(figure(cell, key), notes=numbers if place == 0 else (), parts=parts)


def latency_notes(rows: Sequence[Sequence[LatencyCell]]) -> Iterator[str]:
    """Yield a sentence for each runtime, with its number of rounds and its noise floor."""
    for column in zip(*rows, strict=True):
        measured = [cell for cell in column if cell.timing and cell.judgment]
        if measured:
            precision = measured[0].conditions.precision
            named = "" if precision == "fp32" else f", {precision}"
            yield f"{measured[0].runtime.get('title', '')}{named}: {_effort(measured)}."
            yield from _device_notes(measured)


def _device_notes(measured: Sequence[LatencyCell]) -> Iterator[str]:
    """Yield what a reader must know about figures of a CUDA device."""
    conditions = measured[0].conditions
    if not conditions.device.startswith("cuda"):
        return
    bound = [cell for cell in measured if (cell.values.get("launch_share") or 0) > _LAUNCH_BOUND]
    if bound:
        can_replay = conditions.runtime in GRAPHED and not conditions.graph
        yield (
            f"{conditions}: {len(bound)} of {len(measured)} rows are launch-bound: the device "
            "waits for the processor, and their figures are those of Python and the driver"
            f"{', cold or not' if conditions.cold else ''}. To time the device, "
            f"{'replay a CUDA graph (--graph)' if can_replay else 'take a larger batch'}."
        )
    if all((cell.runtime.get("device") or {}).get("clocks") is None for cell in measured):
        yield f"{conditions}: nothing watched the device's clocks: rounds with reduced ones count."


def _effort(measured: Sequence[LatencyCell]) -> str:
    timings = [cell.timing for cell in measured if cell.timing]
    processes = sorted(timing.arm.processes for timing in timings)
    pairs = sorted(timing.arm.pairs for timing in timings)
    floor = max(cell.judgment.floor for cell in measured if cell.judgment)
    noun = "process" if processes[-1] == 1 else "fresh processes"
    return (
        f"{_range(pairs)} rounds from {_range(processes)} {noun}, "
        f"A/A floor at most {100 * floor:.1f}%"
    )


def _range(counts: Sequence[int]) -> str:
    return str(counts[0]) if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"


def footnotes_of(one: LatencyCell) -> tuple[str, ...]:
    """Return the footnotes of a result: failure, distrust, non-finite output, fallbacks."""
    trust = one.judgment.trust if one.judgment else "ok"
    distrust = "" if trust == "ok" else f"No verdict: {trust.rstrip('.')}."
    infinite = NOT_FINITE in (one.runtime.get("notes") or [])
    return (
        # what is missing here is missing for all rows
        one.failure(str(one.conditions) if one.status == "skipped" else one.case.name),
        distrust,
        f"{one.case.name}: {NOT_FINITE}." if infinite else "",
        _fallbacks(one),
    )


def _fallbacks(cell: LatencyCell) -> str:
    found = cell.runtime.get("fallbacks") or {}
    if not found:
        return ""
    listed = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in found.items())
    return f"{cell.runtime.get('title', '')}, off the fast path: {listed}."


def figure(one: LatencyCell, key: str) -> str:
    """Return the text of a latency column."""
    return one.status if one.timing is None else _COLUMNS[key][2](one)


def overhead(one: LatencyCell) -> str:
    """Return ``+4.2% [+3.8, +4.6] slower``, or for a module alone ``12.3x [12.1, 12.5]``."""
    return " ".join(part for part in overhead_parts(one) if part)


def overhead_parts(one: LatencyCell) -> tuple[str, str, str]:
    """Return estimate, interval and verdict of an overhead; a module alone has no verdict."""
    return estimate(one), bounds(one), verdict(one) if one.case.backbone else ""


def estimate(one: LatencyCell) -> str:
    """Return ``+4.2%``, for a module alone ``12.3x``, for the plain network ``A/A``."""
    if one.timing is None:
        return one.status
    if one.timing.is_plain:
        return "A/A"
    ratio = one.timing.arm.ratio
    return percent(ratio) if one.case.backbone else f"{_passes(ratio)}x"


def bounds(one: LatencyCell) -> str:
    """Return the 95% interval ``[+3.8, +4.6]`` of the estimate, in the same unit."""
    if one.timing is None:
        return ""
    arm = one.timing.arm
    if one.case.backbone or one.timing.is_plain:
        return interval(arm.low, arm.high)
    return f"[{_passes(arm.low)}, {_passes(arm.high)}]"


def _passes(ratio: float) -> str:
    """Return a ratio with three significant digits, from 1000 on without decimals."""
    return f"{ratio:,.0f}" if ratio >= 999.5 else f"{ratio:.3g}"


def verdict(one: LatencyCell) -> str:
    """Return the verdict, such as ``slower`` or ``same within 0.8%``; empty for plain."""
    if one.judgment is None or one.timing is None or one.timing.is_plain:
        return ""
    if one.judgment.verdict == "same" and one.judgment.within is not None:
        return f"same within {100 * one.judgment.within:.2g}%"
    return one.judgment.verdict


def percent(ratio: float) -> str:
    """Return a ratio as a signed difference, ``+4.2%``."""
    return f"{_signed(ratio)}%"


def interval(low: float, high: float) -> str:
    """Return the interval ``[+3.8, +4.6]``, in percent."""
    return f"[{_signed(low)}, {_signed(high)}]"


def _signed(ratio: float) -> str:
    difference = 100 * (ratio - 1)
    text = f"{difference:+.0f}" if abs(difference) >= 100 else f"{difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def milliseconds(seconds: float) -> str:
    """Return milliseconds with three significant digits."""
    value = 1000 * seconds
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.{2 if value >= 1 else 4 if value < 0.1 else 3}f}"


def size(count: int | None) -> str:
    """Return a number of bytes as ``4.59 MiB``."""
    if count is None:
        return NOTHING
    return f"{count / 2**20:.2f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB"


def _throughput(cell: LatencyCell) -> str:
    value = cell.timing.throughput if cell.timing else 0.0
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _export(cell: LatencyCell) -> str:
    seconds = (cell.values.get("export_s") or 0.0) + (cell.values.get("load_s") or 0.0)
    return f"{seconds:.1f}"


def _floor(cell: LatencyCell) -> str:
    return f"{100 * cell.judgment.floor:.1f}%" if cell.judgment else NOTHING


def _decimals(key: str, scale: float = 1.0) -> Callable[[LatencyCell], str]:
    def text(cell: LatencyCell) -> str:
        value = cell.values.get(key)
        return NOTHING if value is None else f"{scale * value:.1f}"

    return text


def _quantile(key: str) -> Callable[[LatencyCell], str]:
    return lambda cell: milliseconds(getattr(cell.timing.own, key)) if cell.timing else NOTHING


_COLUMNS: dict[str, tuple[str, str, Callable[[LatencyCell], str]]] = {
    "overhead": ("Overhead", "{subject}", overhead),
    "median": ("Median", "ms", _quantile("median")),
    "p90": ("p90", "ms", _quantile("p90")),
    "p99": ("p99", "ms", _quantile("p99")),
    "min": ("Minimum", "ms", _quantile("minimum")),
    "throughput": ("Throughput", "images/s", _throughput),
    "peak": (
        "Peak memory",
        "live activations in fp32, analytic; measured on a GPU",
        lambda cell: size(cell.values.get("peak_bytes")),
    ),
    "export": ("Export and load", "s", _export),
    "floor": ("A/A floor", "", _floor),
    "sqnr": ("SQNR", "dB against fp32 eager", _decimals("sqnr_db")),
    "top1": ("Top-1 agreement", "% with fp32 eager", _decimals("top1_agreement", 100.0)),
}
"""Head, unit and text by the key of a column."""
_SHORT = {
    "median": ("ms", 40),
    "p90": ("p90", 60),
    "p99": ("p99", 80),
    "min": ("Min", 84),
    "throughput": ("Images/s", 86),
    "peak": ("Peak", 50),
    "export": ("Export s", 82),
    "floor": ("Floor", 30),
    "sqnr": ("SQNR dB", 44),
    "top1": ("Top-1 same", 42),
}
"""Head on a terminal and priority by the key of a column."""
