"""What a number of seeds can show, and how many it takes to show a difference."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Any

import numpy as np
from scipy import optimize, special

from attnbench.errors import RequestError

MOST_SEEDS = 1000
"""Nobody trains more; beyond, a number of seeds is not told."""


def detectable(sd: float, seeds: int, power: float = 0.8, level: float = 0.05) -> float:
    """Return the smallest true mean difference that is found with this power.

    Found means: the two-sided paired t test rejects a mean of 0, on the side of the truth.

    Args:
        sd: standard deviation of one paired difference, in points.
        seeds: how many differences; of fewer than 2 nothing can be found (infinity).
        power: the chance of finding it, above ``level`` / 2 and below 1.
        level: of the test.

    Returns:
        Points, as ``sd``.

    Raises:
        RequestError: ``sd``, ``power`` or ``level`` is out of its range.
    """
    _check(sd, power, level)
    if sd == 0:
        return 0.0
    if seeds < 2:
        return math.inf
    return _noncentrality(seeds - 1, power, level) * sd / math.sqrt(seeds)


def seeds_needed(
    sd: float, difference: float, power: float = 0.8, level: float = 0.05
) -> int | None:
    """Return the fewest seeds with which a true mean difference is found with this power.

    Args:
        sd: standard deviation of one paired difference, in points.
        difference: the true mean, in points, of either sign.
        power: the chance of finding it.
        level: of the two-sided paired t test.

    Returns:
        2 or more; None where it takes more than 1000.

    Raises:
        RequestError: an argument is out of its range.
    """
    _check(sd, power, level)
    if not math.isfinite(difference):
        raise RequestError(f"difference {difference} is not a number of points")
    if difference == 0:
        return None
    # detectable differences shrink as seeds are added: their negatives are in order
    tried = range(2, MOST_SEEDS + 1)
    place = bisect_left(tried, -abs(difference), key=lambda n: -detectable(sd, n, power, level))
    return tried[place] if place < len(tried) else None


def sd_floor(test_images: int, top1: float, disagreement: float | None = None) -> float:
    """Return a floor for the standard deviation of one paired difference, before any is measured.

    Two networks trained alike are right on the same images but for a share d of them. If nothing
    else is known, each of those is as likely to favour one network as the other, independently,
    so that the difference of their accuracies has variance d / N. Images that flip together (a
    class, a style) make it greater; a shared seed makes it hardly less. Use it to plan, and the
    measured standard deviation as soon as there is one.

    Where d is not known it is taken from the error e = 1 - top1 / 100. Two networks trained alike
    predict differently on a share of about e of the images (Jiang et al., ICLR 2022,
    arXiv:2106.13799), and only some of those are right in one and wrong in the other. Networks
    that err independently would differ on 2 e (1 - e), which is less than e where most answers
    are wrong. The lesser of the two is taken, of an e of at least one image, right or wrong.

    Args:
        test_images: N.
        top1: expected accuracy, in percent.
        disagreement: d, as a fraction, where it is known.

    Returns:
        Points: 100 sqrt(d / N).

    Raises:
        RequestError: an argument is out of its range.
    """
    if test_images < 2:
        raise RequestError(f"test_images={test_images}: a test set has 2 images or more")
    if not 0 <= top1 <= 100:
        raise RequestError(f"top1={top1} is not a percentage")
    if disagreement is None:
        error = float(np.clip(1 - top1 / 100, 1 / test_images, 1 - 1 / test_images))
        disagreement = min(error, 2 * error * (1 - error))
    if not 0 <= disagreement <= 1:
        raise RequestError(f"disagreement={disagreement} is not a share of images (0 to 1)")
    return 100 * math.sqrt(disagreement / test_images)


def _noncentrality(freedom: int, power: float, level: float) -> float:
    """Where t with this noncentrality is above the critical value with probability ``power``."""
    critical = float(special.stdtrit(freedom, 1 - level / 2))

    def missing(shift: float) -> float:
        return power - 1 + float(special.nctdtr(freedom, shift, critical))

    above = 1.0
    while missing(above) > 0:
        above *= 2
    found: Any = optimize.brentq(missing, 0, above, xtol=1e-9)
    return float(found)


def _check(sd: float, power: float, level: float) -> None:
    if not (math.isfinite(sd) and sd >= 0):
        raise RequestError(f"sd={sd} is not a standard deviation: measure 2 seeds, or use sd_floor")
    if not 0 < level < 1:
        raise RequestError(f"level={level} is not between 0 and 1")
    if not level / 2 < power < 1:
        raise RequestError(f"power={power} is not between level / 2 ({level / 2:g}) and 1")
