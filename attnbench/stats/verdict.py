"""Verdicts on differences, from estimates with intervals: one core, a rule for each quantity.

The rows of a table are judged together, so that the rate of false discoveries is controlled over
all of them (Benjamini-Hochberg). A difference is reported when the adjusted test rejects that there
is none, and it is large enough: at least the rule's minimum effect, and beyond the noise floor. It
is *the same within x* when its whole 95% interval is within x of 0 and x is at most the
equivalence margin; x is rounded up, at most to the margin. Otherwise it is *inconclusive*.
"""

import math
from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, TypeVar

import numpy as np
from scipy import special

from attnbench.stats.confidence_sequence import anytime_summary
from attnbench.stats.latency_ratio import RatioEstimate
from attnbench.stats.paired_difference import DifferenceEstimate
from attnbench.stats.power import MOST_SEEDS

MANY_SEEDS = 30
"""Number of further seeds above which a verdict does not name it: no plan is made on it."""
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Effect:
    """A difference with its 95% interval: of a ratio 0.05 is 5%, of accuracies it is in points.

    Attributes:
        value: the estimate; above 0 is more.
        low: lower end of the interval.
        p_value: two-sided p-value of there being no difference.
        floor: noise floor, which a reported difference exceeds.
        doubt: reason to withhold the verdict; empty if there is none.
    """

    value: float
    low: float
    high: float
    p_value: float
    floor: float = 0.0
    doubt: str = ""

    @property
    def reach(self) -> float:
        """The largest difference that the interval allows, in either direction."""
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True)
class VerdictRule:
    """The criteria for a difference, and for its absence.

    Attributes:
        minimum_effect: the smallest difference that is reported.
        same_margin: equivalence margin: half-width of the widest interval of *same*.
        false_discovery_rate: Benjamini-Hochberg rate over the rows that are judged together.
        familywise: the rate is that of any false discovery (Holm), instead of their share.
    """

    minimum_effect: float = 0.0
    same_margin: float = 0.0
    false_discovery_rate: float = 0.05
    familywise: bool = False

    words: ClassVar[tuple[str, str]]
    """The verdicts on a difference above and below 0."""
    withheld: ClassVar[str] = "inconclusive"
    """The verdict on a row with a doubt."""
    step: ClassVar[float] = 0.001
    """Step that the bound of *same* is rounded up to."""
    counts_doubtful: ClassVar[bool] = False
    """Whether rows with a doubt are among the rows that the rate is controlled over."""
    wholly_beyond: ClassVar[bool] = False
    """Whether the whole interval must lie beyond the minimum effect, instead of the estimate."""


@dataclass(frozen=True)
class LatencyRule(VerdictRule):
    """The criteria for a difference of latency: *slower* or *faster*, as fractions.

    A row's doubt is an invalid A/A arm: its interval lies wholly beyond ``copy_tolerance`` and
    ``minimum_effect`` (the copy of the baseline differs from it; by chance this happens in well
    under 1 of 40 runs), its noise floor is beyond ``worst_floor``, or it has fewer than
    ``fewest_pairs`` rounds.

    Attributes:
        copy_tolerance: difference of the baseline from its own copy that is tolerated.
        worst_floor: A/A noise floor above which no figure is reliable.
        fewest_pairs: number of rounds below which there is no verdict.
    """

    minimum_effect: float = 0.005
    same_margin: float = 0.03
    copy_tolerance: float = 0.01
    worst_floor: float = 0.10
    fewest_pairs: int = 5

    words: ClassVar[tuple[str, str]] = ("slower", "faster")
    counts_doubtful: ClassVar[bool] = True


@dataclass(frozen=True)
class LatencyChangeRule(VerdictRule):
    """The criteria for a change of the overhead between two runs: *slower* or *faster*.

    The p-values are of the change being at most ``minimum_effect``. A row's doubt is a run with
    fewer than ``fewest_processes``, or whose plain network differs from its copy.

    Attributes:
        false_discovery_rate: half of the false discoveries are regressions, so that at most one of
            a hundred comparisons of equal runs fails.
        fewest_processes: minimum number of processes; one or two do not determine the spread
            between processes.
        power: probability of detecting the smallest change that is reported as detectable.
    """

    minimum_effect: float = 0.01
    same_margin: float = 0.03
    false_discovery_rate: float = 0.02
    fewest_processes: int = 3
    power: float = 0.8

    words: ClassVar[tuple[str, str]] = ("slower", "faster")
    wholly_beyond: ClassVar[bool] = True


@dataclass(frozen=True)
class AccuracyRule(VerdictRule):
    """The criteria for a difference of accuracy: *better* or *worse*, in points.

    A row's doubt is a number of seeds below ``fewest_seeds``, or a reason that the caller gives.

    Attributes:
        fewest_seeds: number of seeds below which there is no verdict.
    """

    same_margin: float = 0.5
    fewest_seeds: int = 3

    words: ClassVar[tuple[str, str]] = ("better", "worse")
    withheld: ClassVar[str] = "none"
    step: ClassVar[float] = 0.05


@dataclass(frozen=True)
class Verdict:
    """The verdict on a row.

    Attributes:
        verdict: a word of the rule, ``"same"``, ``"inconclusive"``, or for a withheld accuracy
            verdict ``"none"``.
        within: for ``"same"``, the difference that can be ruled out.
        floor: noise floor: the largest difference between the baseline and its copy that the A/A
            arm's interval allows, as a fraction; 0 without an A/A arm.
        why: reason why the verdict is withheld, ``"2 seeds; 3 are the least"``; else empty.
        more_seeds: for an ``"inconclusive"`` accuracy, the approximate number of additional seeds
            for a verdict if mean and standard deviation stay unchanged: until the mean differs
            significantly from 0, or the interval is within the margin, whichever is first. It is
            rough: means and standard deviations of few seeds are themselves uncertain by half and
            more. None where it cannot be computed or is more than 1000.
        p_value: adjusted for the rows judged together; None for a row that is not among them.
    """

    verdict: str
    within: float | None = None
    floor: float = 0.0
    why: str = ""
    more_seeds: int | None = None
    p_value: float | None = field(default=None, compare=False)

    @property
    def trust(self) -> str:
        """``"ok"``, or the reason why the verdict is withheld."""
        return self.why or "ok"

    def __str__(self) -> str:
        """Return an accuracy verdict in words, without a full stop: ``same within 0.3``."""
        if self.verdict == "same":
            return f"same within {self.within:g}"
        if self.more_seeds is not None:
            if self.more_seeds > MANY_SEEDS:
                return f"inconclusive, more than {MANY_SEEDS} more seeds needed"
            return f"inconclusive, about {_seeds(self.more_seeds, ' more')} needed"
        return f"no verdict: {self.why}" if self.why else self.verdict


def judge(rows: Mapping[K, Effect], rule: VerdictRule) -> dict[K, Verdict]:
    """Judge the rows of one table together, by their keys."""
    counted = (key for key, row in rows.items() if rule.counts_doubtful or not row.doubt)
    tested = {key: rows[key].p_value for key in counted}
    adjust = adjust_familywise if rule.familywise else adjust_p_values
    p_values = dict(zip(tested, adjust([*tested.values()]), strict=True))
    return {key: _judge(row, p_values.get(key), rule) for key, row in rows.items()}


def adjust_p_values(p_values: Sequence[float]) -> list[float]:
    """Return the p-values, adjusted by Benjamini and Hochberg for the false discovery rate."""
    values = np.array(p_values, dtype=float)
    order = np.argsort(values)[::-1]
    ranks = np.arange(len(values), 0, -1)
    values[order] = np.minimum.accumulate(values[order] * (len(values) / ranks))
    return np.minimum(values, 1).tolist()  # type: ignore[no-any-return]


def adjust_familywise(p_values: Sequence[float]) -> list[float]:
    """Return the p-values, adjusted by Holm for the rate of any false discovery."""
    values = np.array(p_values, dtype=float)
    order = np.argsort(values)
    values[order] = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    return np.minimum(values, 1).tolist()  # type: ignore[no-any-return]


def judge_latency(
    rows: Mapping[K, tuple[RatioEstimate, RatioEstimate]],
    rule: LatencyRule | None = None,
    withheld: Mapping[K, str] | None = None,
) -> dict[K, Verdict]:
    """Judge the latency ratios of one table together.

    Args:
        rows: any key -> (the arm, the A/A arm of the same samples).
        rule: the criteria for a difference.
        withheld: further reasons for no verdict; empty reasons withhold nothing.
    """
    rule, withheld = rule or LatencyRule(), withheld or {}
    effects = {
        key: replace(
            _ratio_effect(arm),
            floor=noise_floor(again),
            doubt=withheld.get(key) or doubt_of(again, rule),
        )
        for key, (arm, again) in rows.items()
    }
    return judge(effects, rule)


def judge_accuracy(
    rows: Mapping[K, DifferenceEstimate],
    rule: AccuracyRule | None = None,
    withheld: Mapping[K, str] | str = "",
) -> dict[K, Verdict]:
    """Judge the accuracies of one table together.

    Args:
        rows: any key -> the mean paired difference from plain, in points; above 0 is better.
        rule: the criteria for a difference.
        withheld: reasons for no verdict, of some rows or of all (``"smoke test"``). Empty reasons
            withhold nothing.
    """
    rule = rule or AccuracyRule()
    effects = {}
    for key, row in rows.items():
        doubt = withheld if isinstance(withheld, str) else withheld.get(key, "")
        if not doubt and row.count < rule.fewest_seeds:
            doubt = f"{_seeds(row.count)}; {rule.fewest_seeds} are the least"
        effects[key] = Effect(row.mean, row.low, row.high, row.p_value, doubt=doubt)
    judged = judge(effects, rule)
    return {key: _with_more_seeds(found, rows[key], rule) for key, found in judged.items()}


def noise_floor(again: RatioEstimate) -> float:
    """Return the noise floor: the largest difference that an A/A interval allows, as a fraction."""
    return _ratio_effect(again).reach


def doubt_of(again: RatioEstimate, rule: LatencyRule | None = None) -> str:
    """Return the reason why an A/A arm invalidates its comparison, a sentence; empty if valid."""
    rule = rule or LatencyRule()
    if again.pairs < rule.fewest_pairs:
        return f"Only {again.pairs} rounds were timed; {rule.fewest_pairs} are the least."
    tolerance = max(rule.copy_tolerance, rule.minimum_effect)
    if again.low > 1 + tolerance or again.high < 1 - tolerance:
        return (
            f"The baseline differs from its own copy by {again.ratio - 1:+.1%} "
            f"[{again.low - 1:+.1%}, {again.high - 1:+.1%}]."
        )
    if (floor := noise_floor(again)) > rule.worst_floor:
        shown = f"{floor:.0%}" if math.isfinite(floor) else "any amount"
        return f"The baseline may differ from its own copy by {shown}: the machine is too noisy."
    return ""


def _judge(row: Effect, p_value: float | None, rule: VerdictRule) -> Verdict:
    found = Verdict(rule.withheld, floor=row.floor, why=row.doubt, p_value=p_value)
    if row.doubt or p_value is None:
        return found
    if p_value <= rule.false_discovery_rate and _is_large(row, rule):
        return replace(found, verdict=rule.words[0 if row.value > 0 else 1])
    if round(row.reach, 9) <= rule.same_margin:
        within = round(math.ceil(round(row.reach / rule.step, 6)) * rule.step, 6)
        return replace(found, verdict="same", within=min(within, rule.same_margin))
    return replace(found, verdict="inconclusive")


def _is_large(row: Effect, rule: VerdictRule) -> bool:
    least = rule.minimum_effect
    if rule.wholly_beyond:
        return row.low > least or row.high < 1 / (1 + least) - 1
    return abs(row.value) >= max(least, row.floor)


def _ratio_effect(ratio: RatioEstimate) -> Effect:
    return Effect(ratio.ratio - 1, ratio.low - 1, ratio.high - 1, ratio.p_value)


def _with_more_seeds(found: Verdict, row: DifferenceEstimate, rule: AccuracyRule) -> Verdict:
    if found.verdict != "inconclusive":
        return found
    # the other rows require a smaller p; this factor is assumed to stay the same
    factor = row.p_value / found.p_value if found.p_value else 1.0
    return replace(found, more_seeds=_more_seeds(row, rule.false_discovery_rate * factor, rule))


def _more_seeds(row: DifferenceEstimate, level: float, rule: AccuracyRule) -> int | None:
    """Return the smallest number of additional seeds that gives a verdict if nothing changes."""
    if not row.sd > 0:
        return None
    mean, is_large = abs(row.mean), abs(row.mean) >= rule.minimum_effect

    def is_conclusive(count: int) -> bool:
        if row.anytime:
            expected = anytime_summary(mean, row.sd, count)
            return (expected.p_value <= level and is_large) or expected.high <= rule.same_margin
        error = row.sd / math.sqrt(count)
        significant = 2 * float(special.stdtr(count - 1, -mean / error)) <= level
        reach = mean + float(special.stdtrit(count - 1, 0.975)) * error
        return (significant and is_large) or reach <= rule.same_margin

    counts = range(row.count + 1, row.count + MOST_SEEDS + 1)
    # both conditions are monotonic in the number of seeds
    place = bisect_left(counts, True, key=is_conclusive)
    return counts[place] - row.count if place < len(counts) else None


def _seeds(count: int, more: str = "") -> str:
    return f"{count}{more} seed{'' if count == 1 else 's'}"
