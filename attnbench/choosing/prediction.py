"""Predicted overhead of a placement: the sum over its sites, with an interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from attnbench.stats.hodges_lehmann import t_quantile
from attnbench.stats.latency_ratio import RatioEstimate

K = TypeVar("K")

_PRIOR_SPREAD = 0.1
_PRIOR_FREEDOM = 4
"""Spread of the relative deviation before anything is verified, and its degrees of freedom."""
_POINT = 0.01
"""Deviation of a prediction of 0, in the unit of the spread."""


@dataclass(frozen=True)
class SiteEffect:
    """The overhead of one module at one site, as a share of the plain network's latency."""

    value: float
    error: float
    """Standard error."""

    @classmethod
    def of(cls, section: RatioEstimate, share: RatioEstimate) -> SiteEffect:
        """Return the effect of a ratio within a section that has a share of the network's time."""
        added = section.ratio - 1
        errors = share.ratio * section.ratio * section.error, added * share.ratio * share.error
        return cls(added * share.ratio, math.hypot(*errors))


@dataclass(frozen=True)
class Prediction:
    """A predicted overhead with its 95% interval."""

    value: float
    low: float
    high: float
    summed: float
    """Sum of the effects without the correction."""


@dataclass
class Deviations:
    """Deviations of verified overheads from their predictions, in units of the predicted size."""

    seen: list[float] = field(default_factory=list)

    def add(self, predicted: float, verified: float) -> None:
        """Add one verified overhead."""
        self.seen.append((verified - predicted) / _unit(predicted))

    @property
    def mean(self) -> float:
        """Mean deviation, as if one more prediction had been exact."""
        return sum(self.seen) / (1 + len(self.seen))

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the spread."""
        return _PRIOR_FREEDOM + len(self.seen)

    @property
    def spread(self) -> float:
        """Standard deviation of the deviations around their mean."""
        squares = sum((value - self.mean) ** 2 for value in self.seen)
        return math.sqrt((_PRIOR_FREEDOM * _PRIOR_SPREAD**2 + squares) / self.freedom)


def _unit(predicted: float) -> float:
    return _POINT + abs(predicted)


def predict(
    counts: Mapping[K, int], effects: Mapping[K, SiteEffect], deviations: Deviations
) -> Prediction:
    """Return the sum of the effects at all sites.

    Sites of one shape share their measurement, so its error counts for each of them; errors of
    different shapes are independent. Verified networks correct the sum by their mean deviation.
    """
    summed = sum(count * effects[key].value for key, count in counts.items())
    error = math.hypot(*(count * effects[key].error for key, count in counts.items()))
    value = summed + deviations.mean * _unit(summed)
    half = t_quantile(deviations.freedom) * math.hypot(error, deviations.spread * _unit(summed))
    return Prediction(value, value - half, value + half, summed)


def known_part(counts: Mapping[K, int], effects: Mapping[K, SiteEffect]) -> float:
    """Return the lower end of the sum of those effects that are known so far."""
    known = [(count, effects[key]) for key, count in counts.items() if key in effects]
    value = sum(count * effect.value for count, effect in known)
    return value - 2 * math.hypot(*(count * effect.error for count, effect in known))
