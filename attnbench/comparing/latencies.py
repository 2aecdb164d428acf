"""Latency of two runs compared: by the ratio to the plain network, each paired within its run.

Milliseconds of two runs are never compared: they are of different moments, and a machine's speed
wanders by more than any change. Within a run arm and plain network were timed interleaved, so
that their ratio holds; how far two such ratios lie apart is what is judged, with the intervals of
both (clustered by process, whose layout in memory is part of its result).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from scipy import special, stats

from attnbench.comparing.counts import finite
from attnbench.comparing.gates import OVERHEAD, Gates
from attnbench.comparing.model import Change
from attnbench.comparing.moderation import Spread, moderated
from attnbench.comparing.pairs import Judged, Pair
from attnbench.comparing.proofs import machines_differ, versions_differ
from attnbench.records.model import Record
from attnbench.records.timings import Timing, timing_of
from attnbench.timing.statistics import Estimate
from attnbench.timing.verdicts import distrust


@dataclass(frozen=True)
class Rule:
    """When a change of the overhead counts, and when its absence does.

    It is a regression or an improvement when its 95% interval lies wholly beyond
    ``minimum_effect`` and the test against that effect holds at the false discovery rate over
    all rows judged together. It is unchanged when the whole interval is within ``same_margin``
    (or the minimum effect, where that is greater). Else it is inconclusive, as it is with fewer
    processes than ``fewest_processes`` on a side, or where a plain network differs from its copy.

    Attributes:
        minimum_effect: the change that is let pass, as a fraction.
        same_margin: the widest interval that still means unchanged.
        false_discovery_rate: Benjamini-Hochberg's. Half of the false ones are regressions, so
            that of a hundred runs compared with their like at most one fails.
        fewest_processes: of one or two the spread between processes is not known.
        power: the chance with which the smallest change that is named would have been seen.
    """

    minimum_effect: float = 0.01
    same_margin: float = 0.03
    false_discovery_rate: float = 0.02
    fewest_processes: int = 3
    power: float = 0.8


@dataclass(frozen=True)
class Shift:
    """How far the overhead moved, in logarithms.

    Attributes:
        value: the estimate; above 0 is slower.
        error: its standard error.
        freedom: degrees of freedom, after Welch and Satterthwaite.
    """

    value: float
    error: float
    freedom: float

    @property
    def reach(self) -> float:
        """Half the width of the 95% interval."""
        return _t_quantile(self.freedom, 0.975) * self.error

    def beyond(self, effect: float) -> float:
        """Return the p-value of the true shift being no greater than ``effect`` either way."""
        past = abs(self.value) - math.log1p(effect)
        if past <= 0:
            return 1.0
        return float(2 * special.stdtr(self.freedom, -past / self.error)) if self.error else 0.0


def shift(base: Estimate, new: Estimate) -> Shift:
    """Return how far an arm's time over the plain one moved between two runs."""
    variances = base.error**2, new.error**2
    total = sum(variances)
    if not 0 < total < math.inf:
        freedom = 1.0
    else:
        shares = zip(variances, (base.freedom, new.freedom), strict=True)
        freedom = total**2 / sum(one**2 / free for one, free in shares)
    return Shift(math.log(new.ratio / base.ratio), math.sqrt(total), freedom)


def latencies(pairs: Sequence[Pair], gates: Gates) -> Iterator[Judged]:
    """Judge the overheads of latency cases, all together."""
    if not gates.judges(OVERHEAD):
        return
    rule = Rule(minimum_effect=gates.allowed(OVERHEAD))
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
    pair: Pair
    base: Timing
    new: Timing

    @property
    def shift(self) -> Shift:
        return shift(self.base.arm, self.new.arm)

    def change(self, reason: str, value: float | None = None) -> Change:
        return self.pair.of(OVERHEAD, self.base.arm.ratio, self.new.arm.ratio, reason, change=value)

    def doubt(self, rule: Rule) -> str:
        """Why there can be no verdict, or nothing."""
        for side, timing in (("BASE", self.base), ("NEW", self.new)):
            count = timing.arm.processes
            if count < rule.fewest_processes:
                least = rule.fewest_processes
                return f"{side} has {count} process{'es' * (count > 1)}; {least} are the least"
            trust = distrust(timing.again)
            if trust != "ok":
                return f"{side}: {trust}"
        return ""


def _judged(rows: Mapping[str, _Row], rule: Rule) -> Iterator[Judged]:
    doubts = {case: row.doubt(rule) for case, row in rows.items()}
    sound = _moderated({case: row.shift for case, row in rows.items() if not doubts[case]})
    p_values = [one.beyond(rule.minimum_effect) for one in sound.values()]
    adjusted = stats.false_discovery_control(p_values) if p_values else []
    kept = dict(zip(sound, map(float, adjusted), strict=True))
    for case, row in rows.items():
        if doubts[case]:
            yield "inconclusive", row.change(doubts[case])
        else:
            yield _verdict(row, sound[case], kept[case], len(sound), rule)


def _moderated(shifts: Mapping[str, Shift]) -> dict[str, Shift]:
    """Return the shifts with errors that rows under the same conditions agree on."""
    groups: dict[str, dict[str, Spread]] = {}
    for case, one in shifts.items():
        conditions = case.rpartition("/")[2]
        groups.setdefault(conditions, {})[case] = Spread(one.error, one.freedom)
    spreads = {case: one for group in groups.values() for case, one in moderated(group).items()}
    return {
        case: Shift(one.value, spreads[case].error, spreads[case].freedom)
        for case, one in shifts.items()
    }


def _verdict(row: _Row, moved: Shift, p_value: float, count: int, rule: Rule) -> Judged:
    low, high = (math.expm1(moved.value + side * moved.reach) for side in (-1, 1))
    change = Change(
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
    smallest = finite(_smallest(moved, count, rule))
    return "inconclusive", replace(change, smallest=smallest)


def _smallest(moved: Shift, count: int, rule: Rule) -> float:
    """The slow-down that is mostly found where no other of the rows moves."""
    level = rule.false_discovery_rate / count / 2
    tails = _t_quantile(moved.freedom, 1 - level) + _t_quantile(moved.freedom, rule.power)
    reach = tails * moved.error
    return math.expm1(math.log1p(rule.minimum_effect) + reach) if reach < 700 else math.inf


def _unlike(pair: Pair) -> str:
    """Why two ratios are not of one thing, or nothing."""
    return "; ".join(filter(None, (machines_differ(pair), versions_differ(pair), pair.suite())))


def _timing(record: Record) -> Timing | None:
    conditions = record.conditions.get("conditions") or {}
    return timing_of(record.samples, int(conditions.get("batch", 1)))


def _t_quantile(freedom: float, share: float) -> float:
    return float(special.stdtrit(freedom, share))
