"""Power analysis: the difference that a number of seeds detects."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from attnbench.errors import RequestError

MOST_SEEDS = 1000
"""Largest number of seeds that is reported; more are impractical to train."""


def detectable(sd: float, seeds: int, power: float = 0.8, level: float = 0.05) -> float:
    """Return the smallest true mean difference that is detected with this power.

    A difference is detected when the two-sided paired t test rejects a mean of 0, with the true
    sign.

    Args:
        sd: standard deviation of one paired difference, in points.
        seeds: number of differences; with fewer than 2 none is detectable (infinity).
        power: probability of detection, above ``level`` / 2 and below 1.
        level: significance level of the test.

    Returns:
        The difference in points, like ``sd``.

    Raises:
        RequestError: ``sd``, ``power`` or ``level`` is out of its range.
    """
    if not (math.isfinite(sd) and sd >= 0):
        raise RequestError(
            f"sd is negative or not finite: got {sd}. Measure 2 seeds or use sd_floor"
        )
    if not 0 < level < 1:
        raise RequestError(f"level is not between 0 and 1: got {level}")
    if not level / 2 < power < 1:
        raise RequestError(f"power is not between level / 2 ({level / 2:g}) and 1: got {power}")
    if sd == 0:
        return 0.0
    if seeds < 2:
        return math.inf
    return _noncentrality(seeds - 1, power, level) * sd / math.sqrt(seeds)


def sd_floor(test_images: int, top1: float, disagreement: float | None = None) -> float:
    """Return an a priori lower bound of the standard deviation of one paired difference.

    Two networks with the same training are right on the same images except for a share d of them.
    Without other knowledge, each of those images is equally likely to favor either network,
    independently, so that the difference of their accuracies has variance d / N. Images that
    change together (a class, a style) increase it; a shared seed hardly reduces it. Use the bound
    for planning, and the measured standard deviation as soon as there is one.

    An unknown d is derived from the error e = 1 - top1 / 100. Two networks with the same training
    predict differently on a share of about e of the images (Jiang et al., ICLR 2022,
    arXiv:2106.13799), and only some of those are right in one and wrong in the other. Networks
    with independent errors would differ on 2 e (1 - e), which is less than e where most
    predictions are wrong. The smaller of the two is used, with e limited to at least one image
    that is right and one that is wrong.

    Args:
        test_images: N, the number of test images.
        top1: expected accuracy, in percent.
        disagreement: d, as a fraction, where it is known.

    Returns:
        The bound in points: 100 sqrt(d / N).

    Raises:
        RequestError: an argument is out of its range.
    """
    if test_images < 2:
        raise RequestError(f"test_images is below 2: got {test_images}")
    if not 0 <= top1 <= 100:
        raise RequestError(f"top1 is not a percentage: got {top1}")
    if disagreement is None:
        error = float(np.clip(1 - top1 / 100, 1 / test_images, 1 - 1 / test_images))
        disagreement = min(error, 2 * error * (1 - error))
    if not 0 <= disagreement <= 1:
        raise RequestError(f"disagreement is not a fraction from 0 to 1: got {disagreement}")
    return 100 * math.sqrt(disagreement / test_images)


def _noncentrality(freedom: int, power: float, level: float) -> float:
    """Return the noncentrality with which t exceeds its critical value with this power."""
    from scipy import optimize  # imported here: a third of a second, and few need it

    critical = float(special.stdtrit(freedom, 1 - level / 2))

    def missing_power(shift: float) -> float:
        return power - 1 + float(special.nctdtr(freedom, shift, critical))

    above = 1.0
    while missing_power(above) > 0:
        above *= 2
    found: Any = optimize.brentq(missing_power, 0, above, xtol=1e-9)
    return float(found)
