"""Change of a latency ratio between two runs: estimate, test and detectable effect."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from scipy import special

from attnbench.stats.empirical_bayes import StandardError, moderated
from attnbench.stats.latency_ratio import RatioEstimate

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class LatencyChangeRule:
    """The criteria for a change of the overhead, and for its absence.

    A change is a regression or an improvement when its 95% interval lies wholly beyond
    ``minimum_effect`` and the test against that effect rejects at the false discovery rate over
    all rows judged together. The overhead is unchanged when the whole interval is within
    ``same_margin`` (or the minimum effect, where that is greater). Otherwise the change is
    inconclusive, as it is with fewer processes than ``fewest_processes`` on a side, or where a
    plain network differs from its copy.

    Attributes:
        minimum_effect: the tolerated change, as a fraction.
        same_margin: equivalence margin: half-width of the widest interval of *unchanged*.
        false_discovery_rate: rate of the Benjamini-Hochberg procedure. Half of the false
            discoveries are regressions, so that at most one of a hundred comparisons of equal runs
            fails.
        fewest_processes: minimum number of processes; one or two do not determine the spread
            between processes.
        power: probability of detecting the smallest change that is reported as detectable.
    """

    minimum_effect: float = 0.01
    same_margin: float = 0.03
    false_discovery_rate: float = 0.02
    fewest_processes: int = 3
    power: float = 0.8


@dataclass(frozen=True)
class RatioShift:
    """The change of an overhead between two runs, as a logarithm.

    Attributes:
        value: the estimate; above 0 is slower.
        error: its standard error.
        freedom: degrees of freedom, by the Welch-Satterthwaite formula.
    """

    value: float
    error: float
    freedom: float

    @property
    def reach(self) -> float:
        """The half-width of the 95% interval."""
        return _t_quantile(self.freedom, 0.975) * self.error

    def beyond(self, effect: float) -> float:
        """Return the p-value of the true shift being at most ``effect`` in either direction."""
        past = abs(self.value) - math.log1p(effect)
        if past <= 0:
            return 1.0
        return float(2 * special.stdtr(self.freedom, -past / self.error)) if self.error else 0.0


def estimate_shift(base: RatioEstimate, new: RatioEstimate) -> RatioShift:
    """Return the shift of an arm's time ratio to the plain network between two runs."""
    variances = base.error**2, new.error**2
    total = sum(variances)
    if not 0 < total < math.inf:
        freedom = 1.0
    else:
        parts = zip(variances, (base.freedom, new.freedom), strict=True)
        freedom = total**2 / sum(variance**2 / own for variance, own in parts)
    return RatioShift(math.log(new.ratio / base.ratio), math.sqrt(total), freedom)


def shrink(shifts: Mapping[K, RatioShift]) -> dict[K, RatioShift]:
    """Return the shifts of rows with similar noise, their errors moderated by empirical Bayes."""
    errors = {key: StandardError(shift.error, shift.freedom) for key, shift in shifts.items()}
    return {
        key: RatioShift(shifts[key].value, error.error, error.freedom)
        for key, error in moderated(errors).items()
    }


def detectable_change(moved: RatioShift, count: int, rule: LatencyChangeRule) -> float:
    """Return the slowdown that is detected with the rule's power if no other row changes.

    Args:
        moved: the shift; only its error and degrees of freedom are used.
        count: number of rows that are judged together.
        rule: false discovery rate, minimum effect and power.
    """
    level = rule.false_discovery_rate / count / 2
    tails = _t_quantile(moved.freedom, 1 - level) + _t_quantile(moved.freedom, rule.power)
    reach = tails * moved.error
    return math.expm1(math.log1p(rule.minimum_effect) + reach) if reach < 700 else math.inf


def _t_quantile(freedom: float, share: float) -> float:
    return float(special.stdtrit(freedom, share))
