"""Exact metrics of a latency record: fallbacks, graph breaks, peak memory, output equality."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attnbench.records.format import Record
from attnbench.regression.compare.comparison import Value
from attnbench.regression.compare.exact_metrics import judged_count
from attnbench.regression.compare.gates import Gates
from attnbench.regression.compare.record_pair import Judged, RecordPair, differing

_BREAK = "graph break"
_MEASURED_PEAK = 0.01
"""Least tolerance of a measured peak: a device's allocator is not exact."""


def proofs(pairs: Sequence[RecordPair], gates: Gates) -> Iterator[Judged]:
    """Judge the validation of latency cases, which preceded their timing."""
    for pair in pairs:
        versions = versions_differ(pair)
        yield from _fallbacks(pair, gates, versions)
        if gates.judges("peak_bytes"):
            yield from _peak(pair, gates, versions)
        if gates.judges("output"):
            yield from _output(pair)


def versions_differ(pair: RecordPair) -> str:
    """Return the packages of the runtime that differ; empty if there are none."""
    base, new = (_facts(record).get("versions") or {} for record in (pair.base, pair.new))
    return differing(base, new)


def machines_differ(pair: RecordPair) -> str:
    """Return the differences between the machines; empty if there are none."""
    headers = differing(pair.base_header.machine, pair.new_header.machine)
    keys = ("processor", "isa", "device")
    facts = [
        {key: _named(_facts(record)[key]) for key in keys if _facts(record).get(key) is not None}
        for record in (pair.base, pair.new)
    ]
    both = set(facts[0]) & set(facts[1])  # older records have fewer facts
    return headers or differing(facts[0], facts[1], [key for key in keys if key in both])


def _facts(record: Record) -> Mapping[str, Any]:
    return record.runtime or {}


def _named(fact: Any) -> str:
    return str(fact.get("title") or fact.get("name")) if isinstance(fact, Mapping) else str(fact)


def _fallbacks(pair: RecordPair, gates: Gates, versions: str) -> Iterator[Judged]:
    for metric, breaks in (("undelegated", False), ("graph_breaks", True)):
        base, new = (_left(record, breaks=breaks) for record in (pair.base, pair.new))
        if not gates.judges(metric) or not (base or new):
            continue
        totals = sum(base.values()), sum(new.values())
        if versions:
            yield "incomparable", pair.of(metric, *totals, versions)
        elif totals[0] == totals[1] and base != new:
            yield "regressions", pair.of(metric, *totals, _moved(base, new))
        else:
            found = judged_count(pair, metric, *totals, gates.allowed(metric), _moved(base, new))
            yield from [found] if found else []


def _left(record: Record, *, breaks: bool) -> dict[str, int]:
    """Return the operators that left the fast path, with counts: graph breaks, or all others."""
    found = _facts(record).get("fallbacks") or {}
    return {name: int(times) for name, times in found.items() if (_BREAK in name) is breaks}


def _moved(base: Mapping[str, int], new: Mapping[str, int]) -> str:
    names = [name for name in {**base, **new} if base.get(name, 0) != new.get(name, 0)]
    return ", ".join(f"{name}: {base.get(name, 0)} to {new.get(name, 0)}" for name in names)


def _peak(pair: RecordPair, gates: Gates, versions: str) -> Iterator[Judged]:
    base, new = (record.values.get("peak_bytes") for record in (pair.base, pair.new))
    if versions and base != new:
        yield "incomparable", pair.of("peak_bytes", base, new, versions)
    elif base is not None and new is None and "peak_bytes" in pair.new.values and _is_cpu(pair):
        why = "torch.export can no longer export the network"
        yield "regressions", pair.of("peak_bytes", base, None, why)
    else:
        allowed = gates.allowed("peak_bytes")
        if not _is_cpu(pair):
            allowed = max(allowed, _MEASURED_PEAK)
        found = judged_count(pair, "peak_bytes", base, new, allowed)
        yield from [found] if found else []


def _is_cpu(pair: RecordPair) -> bool:
    return str(pair.new.timing_conditions["device"]) == "cpu"


def _output(pair: RecordPair) -> Iterator[Judged]:
    base, new = (_equality(record) for record in (pair.base, pair.new))
    if base is None or new is None:
        return
    outputs: tuple[Value, Value] = (base, new)
    if base == new:
        yield "unchanged", pair.of("output", *outputs)
    elif base == "equal":
        yield "regressions", pair.of("output", *outputs, _error(pair.new))
    else:
        yield "improvements", pair.of("output", *outputs)


def _equality(record: Record) -> str | None:
    """Return whether the output equals eager's; in reduced precision, whether it is finite."""
    if "max_error" not in record.values:
        return None
    error, tolerance = record.values["max_error"], record.values.get("tolerance")
    if error is None:
        return "not finite"
    is_reduced = record.timing_conditions["precision"] != "fp32"
    return "equal" if is_reduced or tolerance is None or error <= tolerance else "differs"


def _error(record: Record) -> str:
    error = record.values.get("max_error")
    if error is None:
        return "NEW's output is not finite where eager's is"
    return f"off by {error:.2g} of eager's scale; {record.values.get('tolerance'):.2g} is tolerated"
