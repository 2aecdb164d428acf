"""Latency of two runs, compared by the ratio to the plain network, paired within each run.

Milliseconds of two runs are never compared: they were measured at different times, and a machine's
speed drifts by more than any change. Within a run, the arm and the plain network were timed
interleaved, so that their ratio is stable. The difference of two such ratios is judged with the
confidence intervals of both (clustered by process, because a process's memory layout affects its
result).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scipy import stats

from attnbench.records.format import Record
from attnbench.records.latency_result import LatencyResult, timing_of
from attnbench.regression.compare.comparison import MetricChange
from attnbench.regression.compare.exact_metrics import finite
from attnbench.regression.compare.gates import OVERHEAD, Gates
from attnbench.regression.compare.output_validation import machines_differ, versions_differ
from attnbench.regression.compare.record_pair import Judged, RecordPair
from attnbench.stats.latency_verdict import distrust
from attnbench.stats.ratio_change import (
    LatencyChangeRule,
    RatioShift,
    detectable_change,
    estimate_shift,
    shrink,
)


def latencies(pairs: Sequence[RecordPair], gates: Gates) -> Iterator[Judged]:
    """Judge the overheads of all latency cases together."""
    if not gates.judges(OVERHEAD):
        return
    rule = LatencyChangeRule(minimum_effect=gates.allowed(OVERHEAD))
    sides = {pair.case: (_timing(pair.base), _timing(pair.new)) for pair in pairs}
    rows: dict[str, _Row] = {}
    for pair in pairs:
        base, new = sides[pair.case]
        if base is None or new is None or base.is_plain or new.is_plain:
            continue
        row = _Row(pair, base, new)
        if pair.base.samples == pair.new.samples:
            yield "unchanged", row.change("the same measurement", 0.0)
        elif why := _unlike(pair):
            yield "incomparable", row.change(why)
        else:
            rows[pair.case] = row
    yield from _judged(rows, rule)


@dataclass(frozen=True)
class _Row:
    pair: RecordPair
    base: LatencyResult
    new: LatencyResult

    @property
    def shift(self) -> RatioShift:
        return estimate_shift(self.base.arm, self.new.arm)

    def change(self, reason: str, value: float | None = None) -> MetricChange:
        return self.pair.of(OVERHEAD, self.base.arm.ratio, self.new.arm.ratio, reason, change=value)

    def doubt(self, rule: LatencyChangeRule) -> str:
        """Return the reason why no verdict is possible; empty if one is."""
        for side, timing in (("BASE", self.base), ("NEW", self.new)):
            count = timing.arm.processes
            if count < rule.fewest_processes:
                least = rule.fewest_processes
                return f"{side} has {count} process{'es' * (count > 1)}; {least} are the least"
            trust = distrust(timing.again)
            if trust != "ok":
                return f"{side}: {trust}"
        return ""


def _judged(rows: Mapping[str, _Row], rule: LatencyChangeRule) -> Iterator[Judged]:
    doubts = {case: row.doubt(rule) for case, row in rows.items()}
    sound = _shrunk({case: row for case, row in rows.items() if not doubts[case]})
    p_values = [moved.beyond(rule.minimum_effect) for moved in sound.values()]
    adjusted = stats.false_discovery_control(p_values) if p_values else []
    kept = dict(zip(sound, map(float, adjusted), strict=True))
    for case, row in rows.items():
        if doubts[case]:
            yield "inconclusive", row.change(doubts[case])
        else:
            yield _verdict(row, sound[case], kept[case], len(sound), rule)


def _shrunk(rows: Mapping[str, _Row]) -> dict[str, RatioShift]:
    """Return the shifts, their errors shrunk over the rows under the same conditions."""
    groups: dict[tuple[Any, ...], dict[str, RatioShift]] = {}
    for case, row in rows.items():
        conditions = tuple(row.pair.new.timing_conditions.items())
        groups.setdefault(conditions, {})[case] = row.shift
    return {case: moved for group in groups.values() for case, moved in shrink(group).items()}


def _verdict(
    row: _Row, moved: RatioShift, p_value: float, count: int, rule: LatencyChangeRule
) -> Judged:
    low, high = (math.expm1(moved.value + side * moved.reach) for side in (-1, 1))
    change = MetricChange(
        row.pair.case,
        OVERHEAD,
        row.base.arm.ratio,
        row.new.arm.ratio,
        finite(low),
        finite(high),
        change=math.expm1(moved.value),
    )
    least = rule.minimum_effect
    if p_value <= rule.false_discovery_rate and (low > least or high < 1 / (1 + least) - 1):
        return ("regressions" if low > 0 else "improvements"), change
    if max(-low, high) <= max(rule.same_margin, least):
        return "unchanged", change
    smallest = finite(detectable_change(moved, count, rule))
    return "inconclusive", replace(change, smallest=smallest)


def _unlike(pair: RecordPair) -> str:
    """Return the reason why two ratios are incomparable; empty if they are comparable."""
    return "; ".join(filter(None, (machines_differ(pair), versions_differ(pair), pair.suite())))


def _timing(record: Record) -> LatencyResult | None:
    return timing_of(record.samples, int(record.timing_conditions["batch"]))
