"""Values of one run: for each case and metric a value with its error, or why it is missing."""

from __future__ import annotations

import json
import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from attnbench.records.format import Header, Record
from attnbench.records.latency_result import timing_of
from attnbench.records.store import Run
from attnbench.stats.paired_difference import estimate as paired_estimate
from attnbench.stats.verdict import doubt_of

COUNTS = ("params", "macs", "activations", "bytes")
"""Metrics of a cost case that are followed unless metrics are named."""
STATUS, OVERHEAD, PEAK, FALLBACKS = "status", "overhead", "peak_bytes", "fallbacks"
ACCURACIES = ("top1", "int8_top1")
NOISY = (OVERHEAD, *ACCURACIES)

Value = int | float | str
_BYTES = ("bytes", PEAK)
_UNITS = {
    OVERHEAD: "time over the plain backbone's, less 1",
    FALLBACKS: "operators off the fast path, or graph breaks",
    **dict.fromkeys(_BYTES, "bytes"),
    **dict.fromkeys(ACCURACIES, "points of accuracy over the plain backbone"),
}
Group = tuple[tuple[str, str], ...]
"""Machine and versions that a value was measured with, as far as they affect that metric."""


@dataclass(frozen=True)
class MetricValue:
    """A metric of a case in one run.

    Attributes:
        value: an integer or a text for an exact metric; ``overhead`` as the logarithm of the paired
            ratio, accuracies as the mean difference to plain in points. None where there is none.
        error: standard error of the value; 0 for an exact metric.
        low: lower end of the 95% interval, in the value's unit.
        group: values of different groups are not compared.
        versions: versions of packages, reported with an exact change.
        reason: why the value is missing.
    """

    value: Value | None = None
    error: float = 0.0
    low: float | None = None
    high: float | None = None
    group: Group = ()
    versions: Group = ()
    reason: str = ""


MetricValues = dict[tuple[str, str], MetricValue]
"""Values by case and metric; an accuracy case is named without its seed."""


def read_metrics(run: Run, wanted: Container[str]) -> MetricValues:
    """Return all readings of the wanted cases in a run."""
    found: MetricValues = {}
    seeds: dict[str, list[Record]] = {}
    for record in run.records.values():
        if record.case_key not in wanted:
            continue
        header = run.header_of.get(record.case, run.header)
        if record.kind == "accuracy":
            seeds.setdefault(record.case_key, []).append(record)
            continue
        found[record.case, STATUS] = MetricValue(record.status, versions=_packages(header))
        reader = _cost if record.kind == "cost" else _latency
        for metric, reading in reader(record, header):
            found[record.case, metric] = reading
    plain = {_paired_with(arm): arm for arm in run.records.values() if arm.kind == "accuracy"}
    for case, records in seeds.items():
        worst = next((arm for arm in records if arm.status != "ok"), records[0])
        header = run.header_of.get(worst.case, run.header)
        found[case, STATUS] = MetricValue(worst.status, versions=_packages(header))
        for metric, reading in _accuracy(records, plain, run):
            found[case, metric] = reading
    return found


def _reason(record: Record) -> str:
    return f"{record.status}: {record.reason or 'no reason given'}".splitlines()[0]


def _cost(record: Record, header: Header) -> Iterator[tuple[str, MetricValue]]:
    if record.status != "ok":
        yield from ((name, MetricValue(reason=_reason(record))) for name in COUNTS)
        return
    for name, value in record.values.items():
        if isinstance(value, int):
            yield name, MetricValue(value, versions=_packages(header))


def _latency(record: Record, header: Header) -> Iterator[tuple[str, MetricValue]]:
    if record.status != "ok":
        missing = MetricValue(reason=_reason(record))
        yield from ((name, missing) for name in (OVERHEAD, PEAK, FALLBACKS))
        return
    runtime = record.runtime or {}
    software = _minor_python(runtime.get("versions") or header.versions)
    peak = record.values.get(PEAK)
    if peak is not None:
        yield PEAK, MetricValue(int(peak), group=software)
    if isinstance(fallbacks := runtime.get("fallbacks"), Mapping):
        yield FALLBACKS, MetricValue(sum(fallbacks.values()), group=software)
    if record.conditions.get("module") is not None:
        yield OVERHEAD, _overhead(record, _hardware(header, runtime) + software)


def _overhead(record: Record, group: Group) -> MetricValue:
    timing = timing_of(record.samples, record.timing_conditions["batch"])
    if timing is None or timing.is_plain:
        return MetricValue(reason="no samples")
    if doubt := doubt_of(timing.again):
        return MetricValue(reason=doubt)
    arm = timing.arm
    if not (0 < arm.low <= arm.high < math.inf):
        return MetricValue(reason="too few rounds for an interval")
    low, high = math.log(arm.low), math.log(arm.high)
    return MetricValue(math.log(arm.ratio), arm.error, low, high, group)


def _accuracy(
    records: Sequence[Record], plain: Mapping[str, Record], run: Run
) -> Iterator[tuple[str, MetricValue]]:
    """Yield the mean difference to plain over the seeds that both have; nothing for plain."""
    if records[0].conditions.get("module") is None:
        return
    pairs = [(own, plain.get(_paired_with(own, plain=True))) for own in records]
    good = [(own, other) for own, other in pairs if other and own.status == other.status == "ok"]
    for metric in ACCURACIES:
        both = [
            (own, float(own.values[metric] or 0) - float(other.values[metric] or 0))
            for own, other in good
            if own.values.get(metric) is not None and other.values.get(metric) is not None
        ]
        if both:
            header = run.header_of.get(both[0][0].case, run.header)
            yield metric, _difference([difference for _, difference in both], both[0][0], header)
        elif metric == ACCURACIES[0]:
            bad = next((own for own, _ in pairs if own.status != "ok"), None)
            yield metric, MetricValue(reason=_reason(bad) if bad else "plain backbone not measured")


def _difference(values: Sequence[float], record: Record, header: Header) -> MetricValue:
    facts = record.training or {}
    images = facts.get("images")
    found = paired_estimate(values, resolution=100.0 / images[1] if images else 0.0)
    if found.count < 2:
        return MetricValue(reason="one seed has no interval")
    recipe = str((facts.get("recipe") or {}).get("hash", ""))
    group = (
        *_hardware(header, {"device": {"title": facts.get("device", "")}}),
        *_minor_python({key: header.versions.get(key, "") for key in ("torch", "torchvision")}),
        ("recipe", recipe),
    )
    return MetricValue(found.mean, found.sd / math.sqrt(found.count), found.low, found.high, group)


def _paired_with(record: Record, *, plain: bool = False) -> str:
    """Return the key that an arm's training shares with the plain backbone's, seed included."""
    changes = {"module": None, "placement": None, "fused": False} if plain else {}
    return json.dumps({**record.conditions, **changes}, sort_keys=True)


def _hardware(header: Header, runtime: Mapping[str, Any]) -> Group:
    device = runtime.get("device")
    facts = {
        **header.machine,
        "instructions": runtime.get("isa"),
        "device": device.get("title") if isinstance(device, Mapping) else device,
    }
    return tuple((key, str(value)) for key, value in sorted(facts.items()) if value is not None)


def _packages(header: Header) -> Group:
    """Return the versions of all packages but attnbench, which changes with each commit."""
    kept = {key: value for key, value in header.versions.items() if key != "attnbench"}
    return _minor_python(kept)


def _minor_python(versions: Mapping[str, str]) -> Group:
    """Return the versions as sorted pairs, Python's without the patch, which affects no timing."""
    shown = {key: str(value) for key, value in versions.items()}
    if "python" in shown:
        shown["python"] = ".".join(shown["python"].split(".")[:2])
    return tuple(sorted(shown.items()))


def metric_unit(metric: str) -> str:
    """Return the unit of a metric's values; empty for plain counts."""
    return _UNITS.get(metric, "")


def display_value(metric: str, value: Value) -> Value:
    """Return a value in the unit of documents and figures: overheads as fractions."""
    if metric == OVERHEAD and not isinstance(value, str):
        return math.expm1(value)
    return value


def display_bound(metric: str, value: float | None) -> float | None:
    """Return an end of an interval in the display unit; None where it is missing or infinite."""
    if value is None or not math.isfinite(value):
        return None
    return float(display_value(metric, value))


def format_value(metric: str, value: Value) -> str:
    """Return a value as text: ``3,504,872``, ``+3.1%``, ``-0.42``, ``failed``."""
    if isinstance(value, str):
        return value
    if metric == OVERHEAD:
        return f"{math.expm1(value):+.1%}"
    return f"{value:+.2f}" if metric in ACCURACIES else f"{int(value):,}"


def format_difference(metric: str, value: float) -> str:
    """Return a difference as text, with its sign: ``+96``, ``+5.0%``, ``-0.42``."""
    return format_value(metric, value) if metric in NOISY else f"{int(value):+,}"


def is_worse(metric: str, old: Value, new: Value) -> bool:
    """Return whether a change is for the worse: higher cost, lower accuracy, no longer ok."""
    if isinstance(old, str) or isinstance(new, str):
        return new != "ok"
    return new < old if metric in ACCURACIES else new > old
