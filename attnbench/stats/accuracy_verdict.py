"""Accuracy verdicts from intervals: better, worse, same or inconclusive, with seeds needed."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from scipy import special, stats

from attnbench.stats.paired_difference import FEWEST_BOUNDED, DifferenceEstimate
from attnbench.stats.power import MOST_SEEDS

K = TypeVar("K", bound=Hashable)

_STEP = 0.05


@dataclass(frozen=True)
class AccuracyRule:
    """The criteria for a difference of accuracy, and for its absence.

    A row with fewer than ``fewest_seeds`` or with a reason to withhold its verdict has none, and
    is not among the judged rows. A judged row is *better* or *worse* when the test rejects a mean
    of 0 at the false discovery rate and the mean is at least ``minimum_effect``. It is *the same
    within x* when its whole 95% interval is within x of 0 and x is at most ``same_margin``; x is
    rounded up to the next 0.05 points, at most to the margin. Otherwise it is *inconclusive*.

    Attributes:
        false_discovery_rate: Benjamini-Hochberg rate over the rows that are judged together.
        fewest_seeds: number of seeds below which there is no verdict.
        same_margin: equivalence margin: half-width of the widest interval of *same*, in points.
        minimum_effect: the smallest difference that is reported, in points.
    """

    false_discovery_rate: float = 0.05
    fewest_seeds: int = 3
    same_margin: float = 0.5
    minimum_effect: float = 0.0


@dataclass(frozen=True)
class AccuracyVerdict:
    """The verdict on a row.

    Attributes:
        verdict: ``"better"``, ``"worse"``, ``"same"``, ``"inconclusive"`` or ``"none"``.
        within: for ``"same"``, the points beyond which a difference can be ruled out.
        more_seeds: for ``"inconclusive"``, the approximate number of additional seeds for a
            verdict if mean and standard deviation stay unchanged: until the mean differs
            significantly from 0, or the interval is within the margin, whichever is first. It is
            rough: means and standard deviations of few seeds are themselves uncertain by half and
            more. None where it cannot be computed or is more than 1000.
        why: for ``"none"``, the reason, ``"2 seeds; 3 are the least"``; else empty.
    """

    verdict: str
    within: float | None = None
    more_seeds: int | None = None
    why: str = ""


def judge(
    rows: Mapping[K, DifferenceEstimate],
    rule: AccuracyRule | None = None,
    withheld: Mapping[K, str] | str = "",
) -> dict[K, AccuracyVerdict]:
    """Judge the rows of one table together.

    Args:
        rows: any key -> the mean paired difference from plain, in points; above 0 is better.
        rule: the criteria for a difference.
        withheld: reasons for no verdict, of some rows or of all (``"smoke test"``). Empty reasons
            withhold nothing.
    """
    rule = rule or AccuracyRule()
    reasons = {key: _reason(key, row, rule, withheld) for key, row in rows.items()}
    eligible = {key: row for key, row in rows.items() if not reasons[key]}
    judged = {key: AccuracyVerdict("none", why=why) for key, why in reasons.items()}
    if eligible:
        adjusted = stats.false_discovery_control([row.p_value for row in eligible.values()])
        for (key, row), p_value in zip(eligible.items(), adjusted, strict=True):
            judged[key] = _judge(row, float(p_value), rule)
    return judged


def text(judgement: AccuracyVerdict) -> str:
    """Return a judgement in words, without a full stop: ``"same within 0.3"``."""
    match judgement.verdict:
        case "none":
            return f"no verdict: {judgement.why}"
        case "same":
            return f"same within {judgement.within:g}"
        case "inconclusive" if judgement.more_seeds is not None:
            seeds = _seeds(judgement.more_seeds, " more")
            return f"inconclusive, about {seeds} needed"
        case verdict:
            return verdict


def _reason(
    key: K, row: DifferenceEstimate, rule: AccuracyRule, withheld: Mapping[K, str] | str
) -> str:
    given = withheld if isinstance(withheld, str) else withheld.get(key, "")
    if given or row.count >= rule.fewest_seeds:
        return given
    return f"{_seeds(row.count)}; {rule.fewest_seeds} are the least"


def _judge(row: DifferenceEstimate, p_value: float, rule: AccuracyRule) -> AccuracyVerdict:
    if p_value <= rule.false_discovery_rate and abs(row.mean) >= rule.minimum_effect:
        return AccuracyVerdict("better" if row.mean > 0 else "worse")
    reach = max(abs(row.low), abs(row.high))
    if reach <= rule.same_margin:
        return AccuracyVerdict("same", within=min(_rounded_up(reach), rule.same_margin))
    # the other rows require a smaller p; this factor is assumed to stay the same
    level = rule.false_discovery_rate * (row.p_value / p_value if p_value else 1.0)
    return AccuracyVerdict("inconclusive", more_seeds=_more_seeds(row, level, rule))


def _more_seeds(row: DifferenceEstimate, level: float, rule: AccuracyRule) -> int | None:
    """Return the smallest number of additional seeds that, by the t test, gives a verdict."""
    if not row.sd > 0:
        return None
    mean, is_large = abs(row.mean), abs(row.mean) >= rule.minimum_effect

    def is_conclusive(count: int) -> bool:
        error = row.sd / math.sqrt(count)
        significant = 2 * float(special.stdtr(count - 1, -mean / error)) <= level
        reach = mean + float(special.stdtrit(count - 1, 0.975)) * error
        return (significant and is_large) or reach <= rule.same_margin

    first = max(row.count + 1, 2 if math.isfinite(row.low) else FEWEST_BOUNDED)
    counts = range(first, row.count + MOST_SEEDS + 1)
    # both conditions are monotonic in the number of seeds
    place = bisect_left(counts, True, key=is_conclusive)
    return counts[place] - row.count if place < len(counts) else None


def _seeds(count: int, more: str = "") -> str:
    return f"{count}{more} seed{'' if count == 1 else 's'}"


def _rounded_up(points: float) -> float:
    return round(math.ceil(round(points / _STEP, 6)) * _STEP, 6)
