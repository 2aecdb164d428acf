"""Verdicts on base against head: regressions, improvements, inconclusive changes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from attnbench.regression.ci.inspect_networks import COSTS, NetworkPair
from attnbench.regression.ci.timing import FEWEST_PAIRS, FEWEST_PROCESSES, TimedPair
from attnbench.regression.compare.comparison import OUTCOMES, Judged, MetricChange, RunComparison
from attnbench.regression.compare.exact_metrics import STATUS, judge_count
from attnbench.regression.compare.gates import LATENCY, Gates
from attnbench.stats.latency_ratio import (
    RatioEstimate,
    distribution,
    estimate,
    estimate_pairs,
    shrink_ratios,
)
from attnbench.stats.timing_samples import AGAIN
from attnbench.stats.verdict import LatencyRule, Verdict, judge_latency

EXPORT = "export"


@dataclass(frozen=True)
class LatencyRatio:
    """Base against head as one estimate, with its control.

    Attributes:
        ratio: of head to base.
        again: of a copy of base to base, the A/A control.
        method: how it was timed, for the reason of a change.
        interleaved: whether both sides were timed in the same processes.
    """

    ratio: RatioEstimate
    again: RatioEstimate
    method: str
    interleaved: bool = False


def compare_sides(
    pairs: Sequence[NetworkPair],
    times: Mapping[str, TimedPair],
    gates: Gates,
    *,
    missing: Sequence[str] = (),
    notes: Sequence[str] = (),
    costs: bool = True,
) -> RunComparison:
    """Return the changes between the sides, with timings by the name of the latency case.

    ``missing`` are the cases that only base has; ``costs``: whether exact metrics are compared.
    """
    found: list[Judged] = [*_existence(pairs)]
    for name in missing:
        change = MetricChange(name, STATUS, "ok", None, reason="head has no such case")
        found.append(("missing", change))
    if costs:
        found += [change for pair in pairs for change in _costs(pair, gates)]
    found += _exports(times, gates)
    found += _latencies(times, gates)
    # no file of a run: there is nothing to accept
    return RunComparison.of(found, notes=tuple(notes), base="", new="")


def _existence(pairs: Sequence[NetworkPair]) -> Iterator[Judged]:
    """Judge the networks that cannot be built on both sides."""
    for pair in pairs:
        name, base, head = pair.name("cost"), pair.base.error, pair.head.error
        if head is not None and base is not None:
            reason = f"fails on both sides: {head}"
            yield "unchanged", MetricChange(name, STATUS, "failed", "failed", reason=reason)
        elif head is not None:
            yield "regressions", MetricChange(name, STATUS, "ok", "failed", reason=head)
        elif pair.base.unknown:
            reason = "base has no such module"
            yield "added", MetricChange(name, STATUS, None, "ok", reason=reason)
        elif base is not None:
            yield "improvements", MetricChange(name, STATUS, "failed", "ok", reason=f"base: {base}")


def _costs(pair: NetworkPair, gates: Gates) -> Iterator[Judged]:
    """Compare exact metrics; an untouched network is omitted."""
    if pair.untouched or not pair.is_built:
        return
    metrics = [metric for metric in COSTS if metric in pair.counted]
    for metric in filter(gates.judges, metrics):
        base, head = pair.base.cost[metric], pair.head.cost[metric]
        allowed = gates.tolerance_of(metric)
        for verdict, change in judge_count(pair.name("cost"), metric, base, head, allowed):
            share = None if change.change is None else round(change.change, 6)
            yield verdict, replace(change, change=share)


def _exports(times: Mapping[str, TimedPair], gates: Gates) -> Iterator[Judged]:
    if not gates.judges(EXPORT):
        return
    for name, timed in times.items():
        reasons = timed.exports or {}
        status = {side: "failed" if reasons.get(side) else "ok" for side in ("base", "head")}
        reason = reasons.get("head") or reasons.get("base") or ""
        change = MetricChange(name, EXPORT, status["base"], status["head"], reason=reason)
        if status["base"] == status["head"]:
            yield "unchanged", change
        else:
            yield "regressions" if status["head"] == "failed" else "improvements", change


def _latencies(times: Mapping[str, TimedPair], gates: Gates) -> Iterator[Judged]:
    """Judge all ratios together, which controls the false discovery rate."""
    if not gates.judges(LATENCY):
        return
    least = gates.tolerance_of(LATENCY)
    rule = LatencyRule(
        minimum_effect=least,
        same_margin=max(LatencyRule().same_margin, least),
        false_discovery_rate=0.01,  # a comparison without any change must not fail more often
        # on a noisy runner a change must exceed the A/A noise floor, however high it is
        worst_floor=math.inf,
    )
    found = share_spreads(
        {name: estimate_ratio(timed) for name, timed in times.items() if timed.error is None}
    )
    judged = judge_latency(
        {name: (latency.ratio, latency.again) for name, latency in found.items()},
        rule,
        {name: _too_few(latency) for name, latency in found.items()},
    )
    for name, timed in times.items():
        if timed.error is not None:
            reason = f"{timed.guilty}, timed: {timed.error}"
            worse = timed.guilty == "head"
            status = ("ok", "failed") if worse else ("failed", "ok")
            change = MetricChange(name, LATENCY, *status, reason=reason)
            yield "regressions" if worse else "improvements", change
        else:
            yield _judge_latency(name, found[name], judged[name], rule)


def share_spreads(found: Mapping[str, LatencyRatio]) -> dict[str, LatencyRatio]:
    """Return the ratios with standard errors shrunk over all interleaved rows (empirical Bayes).

    Three processes leave four degrees of freedom: too few for one row among many that are judged
    together, however large its effect.
    """
    rows = {name: row.ratio for name, row in found.items() if row.interleaved}
    shared = shrink_ratios({name: ratio for name, ratio in rows.items() if ratio.processes > 1})
    return {name: replace(row, ratio=shared.get(name, row.ratio)) for name, row in found.items()}


def estimate_ratio(timed: TimedPair) -> LatencyRatio:
    """Return base against head, from interleaved processes or from pairs of them."""
    if timed.samples:
        samples = list(timed.samples)
        medians = [distribution(samples, arm).median * 1e3 for arm in ("base", "head")]
        times = ", then ".join(f"{median:.4g} ms" for median in medians)
        method = f"{times}, interleaved in {_count(len(samples), 'process', 'es')}"
        ratio, again = estimate(samples, "head"), estimate(samples, AGAIN)
        return LatencyRatio(ratio, again, method, interleaved=True)
    found = estimate_pairs([head - base for base, head in timed.pairs])
    again = RatioEstimate(1.0, 1.0, 1.0, 1.0, found.pairs, found.processes)
    reasons = {side: reason for side, reason in (timed.exports or {}).items() if reason}
    sides, reason = " and ".join(reasons), next(iter(reasons.values()), "")
    pairs = f"{_count(found.pairs, 'pair')} of processes"
    return LatencyRatio(found, again, f"{pairs}, because {sides} cannot be exported ({reason})")


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{plural if number != 1 else ''}"


def _too_few(latency: LatencyRatio) -> str:
    """Return the reason why processes or pairs are too few for a verdict; empty if they are not."""
    if latency.interleaved:
        count, least, noun = latency.ratio.processes, FEWEST_PROCESSES, "processes"
    else:
        count, least, noun = latency.ratio.pairs, FEWEST_PAIRS, "pairs"
    return f"{least} {noun} are the least" if count < least else ""


def _judge_latency(name: str, latency: LatencyRatio, judged: Verdict, rule: LatencyRule) -> Judged:
    ratio, reason, outcome = latency.ratio, latency.method, OUTCOMES[judged.verdict]
    if few := _too_few(latency):
        reason = f"{few}; {latency.method}"
    elif judged.why:
        reason = f"{judged.why} ({latency.method})"
    smallest = None
    if outcome == "inconclusive":
        smallest = _finite(max(rule.minimum_effect, judged.floor, ratio.half_width))
    low, high, share = (_finite(bound - 1) for bound in (ratio.low, ratio.high, ratio.ratio))
    new = _finite(ratio.ratio)
    return outcome, MetricChange(name, LATENCY, 1.0, new, low, high, reason, smallest, share)


def _finite(value: float) -> float | None:
    """Return a rounded number; None for infinity, which JSON lacks."""
    return round(value, 6) if math.isfinite(value) else None
