"""From what both sides cost and take to regressions, improvements and what cannot be told."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from attnbench.comparing.gates import LATENCY, Gates
from attnbench.comparing.model import Change, Comparison
from attnbench.comparing.moderation import Spread, moderated
from attnbench.sides.built import Pair
from attnbench.sides.timing import FEWEST_PAIRS, FEWEST_PROCESSES, Timed
from attnbench.timing.centre import t_p_value, t_quantile
from attnbench.timing.samples import AGAIN
from attnbench.timing.statistics import Estimate, distribution, estimate
from attnbench.timing.verdicts import Judgement, Rule, judge

COSTS = ("params", "macs", "activations", "bytes", "operators")
EXPORT = "export"
_DISCOVERIES = 0.01
"""False ones: a comparison that nothing changed in must not fail more often."""
_SAME_MARGIN = 0.03
Judged = tuple[str, Change]


@dataclass(frozen=True)
class Latency:
    """Base against head as one estimate, with its control."""

    ratio: Estimate
    again: Estimate
    how: str
    """In words, for the reason."""
    interleaved: bool = False


def compared(
    pairs: Sequence[Pair],
    times: Mapping[str, Timed],
    gates: Gates,
    *,
    missing: Sequence[str] = (),
    notes: Sequence[str] = (),
    costs: bool = True,
) -> Comparison:
    """Return what changed between the sides.

    Args:
        pairs: all networks of head's suites.
        times: what was timed, by the name of the latency case.
        gates: how a metric is judged, by its name.
        missing: cases that only base has.
        notes: of the comparison as a whole.
        costs: whether what a network costs on paper is compared.
    """
    found: list[Judged] = [*_existence(pairs), *((("missing", _gone(name))) for name in missing)]
    if costs:
        found += [one for pair in pairs for one in _costs(pair, gates)]
    found += _exports(times, gates)
    found += _latencies(times, gates)
    verdicts: dict[str, list[Change]] = {}
    for verdict, change in found:
        verdicts.setdefault(verdict, []).append(change)
    return Comparison(
        **{name: tuple(changes) for name, changes in verdicts.items()},
        notes=tuple(notes),
        base="",  # no file of a run: there is nothing to accept
        new="",
    )


def _gone(name: str) -> Change:
    return Change(name, "status", "ok", None, reason="head has no such case")


def _existence(pairs: Sequence[Pair]) -> Iterator[Judged]:
    for pair in pairs:
        name, base, head = pair.name("cost"), pair.base.error, pair.head.error
        if head is None and base is None:
            continue
        if head is None:
            if pair.base.unknown:
                yield "added", Change(name, "status", None, "ok", reason="base has no such module")
            else:
                yield "improvements", Change(name, "status", "failed", "ok", reason=f"base: {base}")
        elif base is None:
            yield "regressions", Change(name, "status", "ok", "failed", reason=str(head))
        else:
            reason = f"fails on both sides: {head}"
            yield "unchanged", Change(name, "status", "failed", "failed", reason=reason)


def _costs(pair: Pair, gates: Gates) -> Iterator[Judged]:
    """Compare what is counted; what is untouched and equal is not worth a line."""
    if pair.untouched or pair.base.error is not None or pair.head.error is not None:
        return
    known = [one for one in COSTS if one in pair.base.cost and one in pair.head.cost]
    for metric in filter(gates.judges, known):
        base, head = pair.base.cost[metric], pair.head.cost[metric]
        share = head / base - 1 if base else math.copysign(math.inf, head)
        share = 0.0 if base == head else share
        reason = f"{head - base:+,}" if share else ""
        change = Change(pair.name("cost"), metric, base, head, reason=reason, change=_finite(share))
        if share < 0:
            yield "improvements", change
        else:
            passed = head - base <= gates.allowed(metric) * base
            yield "unchanged" if passed else "regressions", change


def _exports(times: Mapping[str, Timed], gates: Gates) -> Iterator[Judged]:
    """Compare whether the sides can be exported."""
    if not gates.judges(EXPORT):
        return
    for name, one in times.items():
        why = one.exports or {}
        words = {side: "failed" if why.get(side) else "ok" for side in ("base", "head")}
        reason = why.get("head") or why.get("base") or ""
        change = Change(name, EXPORT, words["base"], words["head"], reason=reason)
        if words["base"] == words["head"]:
            yield "unchanged", change
        else:
            yield "regressions" if words["head"] == "failed" else "improvements", change


def _latencies(times: Mapping[str, Timed], gates: Gates) -> Iterator[Judged]:
    """Judge all ratios together: of many, some look changed by chance."""
    if not gates.judges(LATENCY):
        return
    least = gates.allowed(LATENCY)
    rule = Rule(
        minimum_effect=least,
        same_margin=max(_SAME_MARGIN, least),
        false_discovery_rate=_DISCOVERIES,
        # on a noisy runner a change must pass the A/A floor, however high that is
        worst_floor=math.inf,
    )
    found = together({name: latency(one) for name, one in times.items() if one.error is None})
    judged = judge({name: (one.ratio, one.again) for name, one in found.items()}, rule)
    for name, one in times.items():
        if one.error is not None:
            yield _untimed(name, one)
        else:
            yield _judged(name, found[name], judged[name], rule)


def together(found: Mapping[str, Latency]) -> dict[str, Latency]:
    """Return the latencies with what interleaved rows, timed on one machine, say of their noise.

    Three processes leave four degrees of freedom: too few for one row among many that are judged
    together, however clear it is.
    """
    spreads = {
        name: Spread(one.ratio.error, one.ratio.freedom)
        for name, one in found.items()
        if one.interleaved and one.ratio.processes > 1
    }
    known = moderated(spreads)
    return {
        name: replace(one, ratio=_with_spread(one.ratio, known[name])) if name in known else one
        for name, one in found.items()
    }


def _with_spread(ratio: Estimate, spread: Spread) -> Estimate:
    if not 0 < spread.error < math.inf:
        return ratio
    value = math.log(ratio.ratio)
    reach = t_quantile(spread.freedom) * spread.error
    return replace(
        ratio,
        low=_exp(value - reach),
        high=_exp(value + reach),
        p_value=t_p_value(value / spread.error, spread.freedom),
        freedom=spread.freedom,
    )


def _untimed(name: str, one: Timed) -> Judged:
    failed = {"base": ("failed", "ok"), "head": ("ok", "failed")}[one.guilty]
    verdict = "regressions" if one.guilty == "head" else "improvements"
    return verdict, Change(name, LATENCY, *failed, reason=f"{one.guilty}, timed: {one.error}")


def latency(one: Timed) -> Latency:
    """Return base against head, from interleaved processes or from pairs of them."""
    if one.samples:
        samples = list(one.samples)
        medians = [distribution(samples, arm).median * 1e3 for arm in ("base", "head")]
        how = (
            f"{medians[0]:.4g} ms, then {medians[1]:.4g} ms, interleaved in "
            f"{_counted(len(samples), 'process', 'es')}"
        )
        return Latency(estimate(samples, "head"), estimate(samples, AGAIN), how, interleaved=True)
    found = paired([head - base for base, head in one.pairs])
    again = Estimate(1.0, 1.0, 1.0, 1.0, found.pairs, found.processes)
    sides = " and ".join(side for side, why in (one.exports or {}).items() if why)
    why = next((why for why in (one.exports or {}).values() if why), "")
    how = (
        f"{_counted(found.pairs, 'pair')} of processes, because {sides} cannot be exported ({why})"
    )
    return Latency(found, again, how)


def _counted(count: int, what: str, more: str = "s") -> str:
    return f"{count} {what}{more if count != 1 else ''}"


def paired(differences: Sequence[float]) -> Estimate:
    """Return the ratio that pairs of processes show; each pair is one observation."""
    from attnbench.pairing.estimate import estimate as mean_of

    found = mean_of(differences)
    count = len(differences)
    return Estimate(
        math.exp(found.mean), _exp(found.low), _exp(found.high), found.p_value, count, 2 * count
    )


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _judged(name: str, one: Latency, judged: Judgement, rule: Rule) -> Judged:
    ratio = one.ratio
    verdict, reason = judged.verdict, one.how
    if judged.trust != "ok":
        reason = f"{judged.trust} ({one.how})"
    in_pairs = ratio.processes == 2 * ratio.pairs
    if in_pairs and ratio.pairs < FEWEST_PAIRS:
        verdict, reason = "inconclusive", f"{FEWEST_PAIRS} pairs are the least; {one.how}"
    if not in_pairs and ratio.processes < FEWEST_PROCESSES:
        verdict, reason = "inconclusive", f"{FEWEST_PROCESSES} processes are the least; {one.how}"
    words = {"slower": "regressions", "faster": "improvements", "same": "unchanged"}
    if verdict in words:
        return words[verdict], _change(name, ratio, reason)
    smallest = max(rule.minimum_effect, judged.floor, ratio.half_width)
    return "inconclusive", _change(name, ratio, reason, smallest)


def _change(name: str, ratio: Estimate, reason: str, smallest: float = math.inf) -> Change:
    """A ratio as a change; JSON knows no infinity."""
    low, high, share = (_finite(one - 1) for one in (ratio.low, ratio.high, ratio.ratio))
    return Change(
        name, LATENCY, 1.0, _finite(ratio.ratio), low, high, reason, _finite(smallest), share
    )


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
