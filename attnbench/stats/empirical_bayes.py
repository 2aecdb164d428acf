"""What rows that were measured alike say of each other's noise.

The spread between three processes is known badly, and a row that happens to have little of it
looks surer than it is. Rows of one runtime on one machine have much the same noise, so that each
row's variance is taken together with what the others lead to expect (an empirical Bayes prior
with the moments of the log variances: Smyth 2004, Statistical Applications in Genetics and
Molecular Biology 3, section 6.2). How much the others count, the prior's degrees of freedom,
depends on how like each other the variances are.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from scipy import optimize, special

K = TypeVar("K", bound=Hashable)

_FEWEST = 4
"""Rows below which they say nothing of each other."""
_MOST_FREEDOM = 16.0
"""Of a prior: rows share their plain network, so that they are fewer than they seem."""


@dataclass(frozen=True)
class StandardError:
    """A standard error and how well it is known.

    Attributes:
        error: the standard error.
        freedom: its degrees of freedom.
    """

    error: float
    freedom: float


def moderated(spreads: Mapping[K, StandardError]) -> dict[K, StandardError]:
    """Return the spreads of rows that were measured alike, each with what all of them say.

    A standard error is raised where the others are greater, never lowered: what is gained is
    degrees of freedom.
    """
    known = [one for one in spreads.values() if 0 < one.error < math.inf]
    if len(known) < _FEWEST:
        return dict(spreads)
    expected = _prior(known)
    return {key: _with(expected, one) for key, one in spreads.items()}


def _with(expected: StandardError, own: StandardError) -> StandardError:
    if not 0 < own.error < math.inf:
        return own
    freedom = expected.freedom + own.freedom
    total = expected.freedom * expected.error**2 + own.freedom * own.error**2
    return StandardError(max(own.error, math.sqrt(total / freedom)), freedom)


def _prior(spreads: Sequence[StandardError]) -> StandardError:
    """The variance that rows have in common, and how closely they keep to it."""
    halves = np.array([one.freedom for one in spreads]) / 2
    logs = np.log([one.error**2 for one in spreads]) - special.digamma(halves) + np.log(halves)
    middle = float(np.mean(logs))
    apart = float(np.var(logs, ddof=1) - np.mean(special.polygamma(1, halves)))
    if apart <= float(special.polygamma(1, _MOST_FREEDOM / 2)):
        return StandardError(math.exp(middle / 2), _MOST_FREEDOM)
    half = _inverse_trigamma(apart)
    centre = middle + float(special.digamma(half)) - math.log(half)
    return StandardError(math.exp(centre / 2), 2 * half)


def _inverse_trigamma(value: float) -> float:
    def missing(logarithm: float) -> float:
        return float(special.polygamma(1, math.exp(logarithm))) - value

    found: Any = optimize.brentq(missing, -20.0, 20.0, xtol=1e-9)
    return math.exp(found)
