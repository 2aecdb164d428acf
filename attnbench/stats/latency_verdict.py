"""Latency verdicts from intervals: slower, faster, same or inconclusive."""

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
    """The criteria for a difference of latency, and for its absence.

    A row is *slower* or *faster* when (1) the test rejects a ratio of 1 at the false discovery
    rate, over all rows judged together, (2) the ratio is at least ``minimum_effect`` from 1, (3)
    it is further from 1 than the A/A noise floor, and (4) the A/A arm is valid. It is *the same
    within x* when its whole interval is within x of 1 and x is at most ``same_margin``, with (4);
    x is the bound of the interval, rounded up. Otherwise it is *inconclusive*.

    The A/A arm is invalid when its interval lies wholly beyond ``minimum_effect`` (the copy of the
    baseline differs from it by a reportable amount; by chance this happens in well under 1 of 40
    runs), when its noise floor is beyond ``worst_floor``, or with fewer than ``fewest_pairs``
    rounds.

    Attributes:
        minimum_effect: the smallest difference that is reported, as a fraction.
        same_margin: equivalence margin: half-width of the widest interval of *same*.
        false_discovery_rate: Benjamini-Hochberg rate over the rows that are judged together.
        worst_floor: A/A noise floor above which no figure is reliable.
        fewest_pairs: number of rounds below which there is no verdict.
    """

    minimum_effect: float = 0.01
    same_margin: float = 0.03
    false_discovery_rate: float = 0.05
    worst_floor: float = 0.10
    fewest_pairs: int = 5


@dataclass(frozen=True)
class LatencyVerdict:
    """The verdict on a row.

    Attributes:
        verdict: ``"slower"``, ``"faster"``, ``"same"`` or ``"inconclusive"``.
        within: for ``"same"``, the difference that can be ruled out, as a fraction; else None.
        floor: noise floor: the largest difference between the baseline and its copy that the A/A
            arm's interval allows, as a fraction.
        trust: ``"ok"``, or a sentence with the reason for no verdict.
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
        rule: the criteria for a difference.
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
    """Return the noise floor: the largest difference that an A/A interval allows, as a fraction."""
    return _reach(again)


def distrust(again: RatioEstimate, rule: LatencyRule | None = None) -> str:
    """Return ``"ok"``, or a sentence with the reason why an A/A arm invalidates its comparison."""
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


def _reach(ratio: RatioEstimate) -> float:
    return max(abs(ratio.low - 1), abs(ratio.high - 1))


def _rounded_up(fraction: float) -> float:
    """Return the fraction rounded up to the next tenth of a percent."""
    if not math.isfinite(fraction):
        return fraction
    return math.ceil(round(fraction * 1000, 6)) / 1000
