"""Exact metrics: statuses, counts, and validation of latency cases; a larger value is worse."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from attnbench.records.format import Record
from attnbench.records.store import Run
from attnbench.regression.compare.comparison import Judged, MetricChange, RecordPair, Value, Verdict
from attnbench.regression.compare.gates import COSTS, Gates
from attnbench.runtimes.runtime import EQUAL_PRECISIONS

STATUS = "status"
_PACKAGES = ("torch", "torchvision", "timm")
"""Packages that build and trace a network."""
_BREAK = "graph break"
_MEASURED_PEAK = 0.01
"""Least tolerance of a measured peak: a device's allocator is not exact."""


def judge_count(
    case: str, metric: str, base: Value, new: Value, allowed: float = 0.0, reason: str = ""
) -> list[Judged]:
    """Judge an exact metric of a case; return nothing where neither run has it.

    ``allowed`` is the tolerated growth, as a fraction; ``reason`` further explains a difference.
    """
    if base is None and new is None:
        return []
    if not isinstance(base, int | float) or not isinstance(new, int | float):
        reason = f"{'BASE' if base is None else 'NEW'} has no such figure"
        return [("incomparable", MetricChange(case, metric, base, new, reason=reason))]
    if base == new:
        return [("unchanged", MetricChange(case, metric, base, new, change=0.0))]
    more, share = new - base, new / base - 1 if base else math.copysign(math.inf, new)
    signed = f"{more:+,}" if isinstance(more, int) else f"{more:+,.6g}"
    reason = "; ".join(filter(None, (signed, reason)))
    change = MetricChange(case, metric, base, new, reason=reason, change=finite(share))
    if more < 0:
        return [("improvements", change)]
    # 1000 plus 10% is 1100, which rounding of 1000 * 0.1 may miss
    is_beyond = more > allowed * abs(base) * (1 + 1e-9)
    return [("regressions" if is_beyond else "unchanged", change)]


def finite(value: float) -> float | None:
    """Return the number, or None where JSON cannot represent it."""
    return value if math.isfinite(value) else None


def judge_statuses(base: Run, new: Run) -> Iterator[Judged]:
    """Judge the cases that are not ``ok`` in both runs; those of damaged records are missing."""
    damaged = base.left_out | new.left_out
    for case in dict.fromkeys([*base.records, *new.records, *damaged]):
        was, now = _status(base, case), _status(new, case)
        if case in damaged:
            yield "missing", MetricChange(case, STATUS, was, now, reason=damaged[case])
            continue
        records = base.records.get(case), new.records.get(case)
        reasons = ((record and record.reason) or "" for record in records)
        verdict, reason = _judge_status(was, now, *reasons)
        if verdict is not None:
            yield verdict, MetricChange(case, STATUS, was, now, reason=reason)


def _status(run: Run, case: str) -> str:
    record = run.records.get(case)
    return record.status if record else "damaged" if case in run.left_out else "absent"


def _judge_status(was: str, now: str, before: str, after: str) -> tuple[Verdict | None, str]:
    """Return the verdict, None for ok in both runs, and its reason."""
    match was, now:
        case ("ok", "ok"):
            return None, ""
        case ("absent", _):
            return "added", after
        case (_, "absent"):
            return "missing", "NEW has no such case"
        case ("skipped", "skipped") if before != after:
            return "incomparable", f"{after}; before: {before}"
        case ("failed", "failed") | ("skipped", "skipped"):
            return "unchanged", after
        case (_, "failed"):
            return "regressions", after
        case (_, "skipped"):
            return "missing", after
        case _:
            return "improvements", f"was {was}: {before}"


def judge_costs(pairs: Sequence[RecordPair], gates: Gates) -> Iterator[Judged]:
    """Judge the counts of cost cases."""
    for pair in pairs:
        versions = pair.versions(_PACKAGES)
        for metric in filter(gates.judges, COSTS):
            base, new = (record.values.get(metric) for record in (pair.base, pair.new))
            yield from judge_count(
                pair.case, metric, base, new, gates.tolerance_of(metric), versions
            )


def judge_validation(pairs: Sequence[RecordPair], gates: Gates) -> Iterator[Judged]:
    """Judge the validation of latency cases, which preceded their timing."""
    for pair in pairs:
        versions = pair.runtime_versions()
        yield from _fallbacks(pair, gates, versions)
        if gates.judges("peak_bytes"):
            yield from _peak(pair, gates, versions)
        if gates.judges("output"):
            yield from _output(pair)


def _fallbacks(pair: RecordPair, gates: Gates, versions: str) -> Iterator[Judged]:
    for metric, breaks in (("undelegated", False), ("graph_breaks", True)):
        base, new = (_left(record, breaks=breaks) for record in (pair.base, pair.new))
        if not gates.judges(metric) or not (base or new):
            continue
        totals, moved = (sum(base.values()), sum(new.values())), _moved(base, new)
        if versions:
            yield "incomparable", pair.of(metric, *totals, versions)
        elif totals[0] == totals[1] and base != new:
            yield "regressions", pair.of(metric, *totals, moved)
        else:
            yield from judge_count(pair.case, metric, *totals, gates.tolerance_of(metric), moved)


def _left(record: Record, *, breaks: bool) -> dict[str, int]:
    """Return the operators that left the fast path, with counts: graph breaks, or all others."""
    found = (record.runtime or {}).get("fallbacks") or {}
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
        allowed = gates.tolerance_of("peak_bytes")
        if not _is_cpu(pair):
            allowed = max(allowed, _MEASURED_PEAK)
        yield from judge_count(pair.case, "peak_bytes", base, new, allowed)


def _is_cpu(pair: RecordPair) -> bool:
    return str(pair.new.timing_conditions["device"]) == "cpu"


def _output(pair: RecordPair) -> Iterator[Judged]:
    base, new = _equality(pair.base), _equality(pair.new)
    if base is None or new is None:
        return
    if base != new and base == "equal":
        yield "regressions", pair.of("output", base, new, _error(pair.new))
    else:
        yield "unchanged" if base == new else "improvements", pair.of("output", base, new)


def _equality(record: Record) -> str | None:
    """Return whether the output equals eager's; in reduced precision, whether it is finite."""
    if "max_error" not in record.values:
        return None
    error, tolerance = record.values["max_error"], record.values.get("tolerance")
    if error is None:
        return "not finite"
    is_reduced = record.timing_conditions["precision"] not in EQUAL_PRECISIONS
    return "equal" if is_reduced or tolerance is None or error <= tolerance else "differs"


def _error(record: Record) -> str:
    error = record.values.get("max_error")
    if error is None:
        return "NEW's output is not finite where eager's is"
    return f"off by {error:.2g} of eager's scale; {record.values.get('tolerance'):.2g} is tolerated"
