"""Empirical Bayes moderation of the standard errors of rows with similar noise.

The spread between three processes is known poorly, and a row with a small spread by chance appears
more certain than it is. Rows of one runtime on one machine have similar noise, so that each row's
variance is combined with the expectation from the other rows (an empirical Bayes prior with the
moments of the log variances: Smyth 2004, Statistical Applications in Genetics and Molecular
Biology 3, section 6.2). The weight of the other rows, the prior's degrees of freedom, depends on
the similarity of the variances.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy import special

K = TypeVar("K", bound=Hashable)

FEWEST = 4
"""Number of rows below which no prior is estimated."""
MOST_FREEDOM = 16.0
"""Maximum degrees of freedom of a prior: rows share their plain network and are dependent."""

_NEWTON_STEPS = 50


@dataclass(frozen=True)
class StandardError:
    """A standard error and its degrees of freedom."""

    error: float
    freedom: float


def moderate(
    spreads: Mapping[K, StandardError], most_freedom: float = MOST_FREEDOM
) -> dict[K, StandardError]:
    """Return the standard errors of rows with similar noise, moderated by their common prior.

    A standard error is raised where the others are greater, never lowered: the gain is in degrees
    of freedom.

    Args:
        spreads: the standard error of each row; unchanged if fewer than 4 are known.
        most_freedom: upper bound of the prior's degrees of freedom.
    """
    known = [spread for spread in spreads.values() if 0 < spread.error < math.inf]
    if len(known) < FEWEST:
        return dict(spreads)
    expected, found = _prior(known, most_freedom), dict(spreads)
    for key, own in spreads.items():
        if 0 < own.error < math.inf:
            freedom = expected.freedom + own.freedom
            total = expected.freedom * expected.error**2 + own.freedom * own.error**2
            found[key] = StandardError(max(own.error, math.sqrt(total / freedom)), freedom)
    return found


def _prior(spreads: Sequence[StandardError], most_freedom: float = MOST_FREEDOM) -> StandardError:
    """Return the common standard error of the rows, with the prior's degrees of freedom."""
    halves = np.array([spread.freedom for spread in spreads]) / 2
    squares = np.log([spread.error**2 for spread in spreads])
    logs = squares - special.digamma(halves) + np.log(halves)
    mean = float(np.mean(logs))
    excess = float(np.var(logs, ddof=1) - np.mean(special.polygamma(1, halves)))
    if excess <= float(special.polygamma(1, most_freedom / 2)):
        return StandardError(math.exp(mean / 2), most_freedom)
    half = _trigamma_inverse(excess)
    center = mean + float(special.digamma(half)) - math.log(half)
    return StandardError(math.exp(center / 2), 2 * half)


def _trigamma_inverse(value: float) -> float:
    """Return the number whose trigamma is ``value``, by Newton's method (Smyth 2004, appendix).

    It iterates on the reciprocal of trigamma, which is convex and almost linear: from below, it
    converges within a few steps for any value.
    """
    found = 0.5 + 1 / value
    for _ in range(_NEWTON_STEPS):
        trigamma = float(special.polygamma(1, found))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, found))
        found += step
        if abs(step) <= 1e-12 * found:
            break
    return found
