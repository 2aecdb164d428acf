"""From intervals to words: slower, faster, the same, or not to be told."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from scipy import stats

from attnbench.stats.latency_ratio import RatioEstimate

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class LatencyRule:
    """When a difference counts, and when its absence does.

    A row is *slower* or *faster* when (1) the test says that its ratio is not 1 at the false
    discovery rate, over all rows judged together, (2) the ratio is at least ``minimum_effect``
    from 1, (3) it is further from 1 than the A/A floor, and (4) the A/A arm is in order. It is
    *the same within x* when its whole interval is within x of 1 and x is at most
    ``same_margin``, with (4); x is what the interval allows, rounded up. Else it is
    *inconclusive*.

    The A/A arm is out of order when its interval lies wholly beyond ``minimum_effect`` (a copy
    of the baseline that differs from it by as much as would be reported; by chance that happens
    in well under 1 of 40 runs), when its floor is beyond ``worst_floor``, or with fewer than
    ``fewest_pairs`` rounds.

    Attributes:
        minimum_effect: the least difference worth a word, as a fraction.
        same_margin: the widest interval that still means the same.
        false_discovery_rate: Benjamini-Hochberg's, over the rows of one judgement.
        worst_floor: the A/A floor above which no figure is to be trusted.
        fewest_pairs: rounds below which there is no verdict.
    """

    minimum_effect: float = 0.01
    same_margin: float = 0.03
    false_discovery_rate: float = 0.05
    worst_floor: float = 0.10
    fewest_pairs: int = 5


@dataclass(frozen=True)
class LatencyVerdict:
    """What is said of a row.

    Attributes:
        verdict: ``"slower"``, ``"faster"``, ``"same"`` or ``"inconclusive"``.
        within: for ``"same"``, the difference that can be ruled out, as a fraction; else None.
        floor: the largest difference between the baseline and its copy that the A/A arm's
            interval allows, as a fraction.
        trust: ``"ok"``, or a sentence that says why there is no verdict.
    """

    verdict: str
    within: float | None
    floor: float
    trust: str


def judge(
    rows: Mapping[K, tuple[RatioEstimate, RatioEstimate]], rule: LatencyRule | None = None
) -> dict[K, LatencyVerdict]:
    """Judge the rows of one table together.

    Args:
        rows: any key -> (the arm, the A/A arm of the same samples).
        rule: what counts as a difference.
    """
    rule = rule or LatencyRule()
    if not rows:
        return {}
    adjusted = stats.false_discovery_control([arm.p_value for arm, _ in rows.values()])
    return {
        key: _judge(arm, again, float(p_value), rule)
        for (key, (arm, again)), p_value in zip(rows.items(), adjusted, strict=True)
    }


def floor(again: RatioEstimate) -> float:
    """Return the largest difference that an A/A interval allows, as a fraction of the baseline."""
    return _reach(again)


def distrust(again: RatioEstimate, rule: LatencyRule | None = None) -> str:
    """Return ``"ok"``, or why an A/A arm puts its comparison in doubt, as a sentence."""
    rule = rule or LatencyRule()
    if again.pairs < rule.fewest_pairs:
        return f"Only {again.pairs} rounds were timed; {rule.fewest_pairs} are the least."
    if again.low > 1 + rule.minimum_effect or again.high < 1 - rule.minimum_effect:
        return (
            f"The baseline differs from its own copy by {again.ratio - 1:+.1%} "
            f"[{again.low - 1:+.1%}, {again.high - 1:+.1%}]."
        )
    if (reach := _reach(again)) > rule.worst_floor:
        shown = f"{reach:.0%}" if math.isfinite(reach) else "any amount"
        return f"The baseline may differ from its own copy by {shown}: the machine is too noisy."
    return "ok"


def _judge(
    arm: RatioEstimate, again: RatioEstimate, p_value: float, rule: LatencyRule
) -> LatencyVerdict:
    trust, least = distrust(again, rule), floor(again)
    if trust != "ok":
        return LatencyVerdict("inconclusive", None, least, trust)
    effect = abs(arm.ratio - 1)
    if p_value <= rule.false_discovery_rate and effect >= max(rule.minimum_effect, least):
        return LatencyVerdict("slower" if arm.ratio > 1 else "faster", None, least, trust)
    within = _rounded_up(_reach(arm))
    if within <= rule.same_margin:
        return LatencyVerdict("same", within, least, trust)
    return LatencyVerdict("inconclusive", None, least, trust)


def _reach(one: RatioEstimate) -> float:
    return max(abs(one.low - 1), abs(one.high - 1))


def _rounded_up(fraction: float) -> float:
    """To the next tenth of a percent."""
    if not math.isfinite(fraction):
        return fraction
    return math.ceil(round(fraction * 1000, 6)) / 1000
