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

from attnbench.records.latency_result import LatencyResult, timing_of
from attnbench.regression.compare.comparison import OUTCOMES, Judged, MetricChange, RecordPair
from attnbench.regression.compare.exact_metrics import finite
from attnbench.regression.compare.gates import OVERHEAD, Gates
from attnbench.stats.latency_ratio import RatioShift, estimate_shift, shrink_shifts
from attnbench.stats.verdict import Effect, LatencyChangeRule, doubt_of, judge


def judge_latencies(pairs: Sequence[RecordPair], gates: Gates) -> Iterator[Judged]:
    """Judge the overheads of all latency cases together."""
    if not gates.judges(OVERHEAD):
        return
    least = gates.tolerance_of(OVERHEAD)
    margin = max(LatencyChangeRule().same_margin, least)
    rule = LatencyChangeRule(minimum_effect=least, same_margin=margin)
    rows: dict[str, _Row] = {}
    for pair in pairs:
        base, new = (
            timing_of(record.samples, int(record.timing_conditions["batch"]))
            for record in (pair.base, pair.new)
        )
        if base is None or new is None or base.is_plain or new.is_plain:
            continue
        row = _Row(pair, base, new)
        if pair.base.samples == pair.new.samples:
            yield "unchanged", row.change("the same measurement", 0.0)
        elif why := list(filter(None, (pair.machines(), pair.runtime_versions(), pair.suite()))):
            yield "incomparable", row.change("; ".join(why))
        else:
            rows[pair.case] = row
    yield from _judged(rows, rule)


@dataclass(frozen=True)
class _Row:
    pair: RecordPair
    base: LatencyResult
    new: LatencyResult

    def change(self, reason: str, value: float | None = None) -> MetricChange:
        return self.pair.of(OVERHEAD, self.base.arm.ratio, self.new.arm.ratio, reason, change=value)

    def doubt(self, rule: LatencyChangeRule) -> str:
        """Return the reason why no verdict is possible; empty if one is."""
        for side, timing in (("BASE", self.base), ("NEW", self.new)):
            count = timing.arm.processes
            if count < rule.fewest_processes:
                least = rule.fewest_processes
                return f"{side} has {count} process{'es' * (count > 1)}; {least} are the least"
            if doubt := doubt_of(timing.again):
                return f"{side}: {doubt}"
        return ""


def _judged(rows: Mapping[str, _Row], rule: LatencyChangeRule) -> Iterator[Judged]:
    doubts = {case: row.doubt(rule) for case, row in rows.items()}
    sound = _shrunk({case: row for case, row in rows.items() if not doubts[case]})
    effects = {
        case: Effect(math.expm1(shift.value), *shift.interval, shift.beyond(rule.minimum_effect))
        for case, shift in sound.items()
    }
    verdicts = judge(effects, rule)
    for case, row in rows.items():
        if doubts[case]:
            yield "inconclusive", row.change(doubts[case])
            continue
        effect, outcome = effects[case], OUTCOMES[verdicts[case].verdict]
        change = row.change("", effect.value)
        change = replace(change, low=finite(effect.low), high=finite(effect.high))
        if outcome == "inconclusive":
            # of this row alone, by the first step of the procedure, one-sided
            level = rule.false_discovery_rate / len(sound) / 2
            smallest = sound[case].detectable(rule.minimum_effect, level, rule.power)
            change = replace(change, smallest=finite(smallest))
        yield outcome, change


def _shrunk(rows: Mapping[str, _Row]) -> dict[str, RatioShift]:
    """Return the shifts, their errors shrunk over the rows under the same conditions."""
    groups: dict[tuple[Any, ...], dict[str, RatioShift]] = {}
    for case, row in rows.items():
        conditions = tuple(row.pair.new.timing_conditions.items())
        groups.setdefault(conditions, {})[case] = estimate_shift(row.base.arm, row.new.arm)
    shrunk = map(shrink_shifts, groups.values())
    return {case: shift for group in shrunk for case, shift in group.items()}
