"""The exact test of two networks on the same images: who is right where the other is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from attnbench.errors import RequestError

Correct = NDArray[np.bool_]


@dataclass(frozen=True)
class McNemar:
    """What McNemar's test found.

    Attributes:
        only_a: images on which a is right and b is wrong.
        only_b: images on which b is right and a is wrong.
        p_value: of either being as likely, two-sided; exact (binomial).
    """

    only_a: int
    only_b: int
    p_value: float


def mcnemar(a: Correct, b: Correct) -> McNemar:
    """Compare trained networks on the same images.

    The images are the sample. The test speaks of these weights on other images, never of training
    once more; that is for :func:`~attnbench.stats.paired_difference.estimate` over seeds.

    Of several seeds, an image counts once, for the side that is right with more of the seeds, and
    not at all where they are level: a sign test over images, of one seed McNemar's own. P values
    of the seeds are not combined, as they are of the same images and depend on one another;
    :func:`per_seed` has each.

    Args:
        a: whether an image is classified correctly, (images,) or (seeds, images).
        b: the same of the other network or networks, in the same order of seeds and images.

    Raises:
        RequestError: the shapes differ, or are neither of these.
    """
    _check(a, b)
    gains = np.sum(np.atleast_2d(a).astype(np.int64) - np.atleast_2d(b), axis=0)
    only_a, only_b = int(np.sum(gains > 0)), int(np.sum(gains < 0))
    if only_a == only_b:
        return McNemar(only_a, only_b, 1.0)
    test = stats.binomtest(only_a, only_a + only_b)
    return McNemar(only_a, only_b, float(test.pvalue))


def per_seed(a: Correct, b: Correct) -> list[McNemar]:
    """Return McNemar's test of each pair of networks of (seeds, images).

    The p values are not independent: do not combine them, nor pick the least.

    Raises:
        RequestError: the shapes differ, or are neither (images,) nor (seeds, images).
    """
    _check(a, b)
    return [
        mcnemar(one, other) for one, other in zip(np.atleast_2d(a), np.atleast_2d(b), strict=True)
    ]


def _check(a: Correct, b: Correct) -> None:
    if a.shape != b.shape:
        raise RequestError(f"correctness of shape {a.shape} and {b.shape}: not of the same images")
    if a.ndim not in (1, 2) or a.dtype != np.bool_ or b.dtype != np.bool_:
        raise RequestError(
            f"correctness is (images,) or (seeds, images) of bool, not {a.shape} of {a.dtype}"
        )
