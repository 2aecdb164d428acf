"""McNemar's exact test of two networks on the same images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from attnbench.errors import RequestError

Correct = NDArray[np.bool_]


@dataclass(frozen=True)
class McNemar:
    """The result of McNemar's test.

    Attributes:
        only_a: images on which a is right and b is wrong.
        only_b: images on which b is right and a is wrong.
        p_value: two-sided p-value of both being equally likely; exact (binomial).
    """

    only_a: int
    only_b: int
    p_value: float


def mcnemar(a: Correct, b: Correct) -> McNemar:
    """Compare trained networks on the same images.

    The images are the sample. The test generalizes to other images with these weights, never to
    another training; for that use :func:`~attnbench.stats.paired_difference.estimate` over seeds.

    With several seeds, an image counts once, for the side that is right with more of the seeds,
    and is dropped in a tie: a sign test over images, which for a single seed is McNemar's. The
    p-values of the seeds are not combined, as they concern the same images and are dependent.

    Args:
        a: whether an image is classified correctly, (images,) or (seeds, images).
        b: the same for the other network or networks, in the same order of seeds and images.

    Raises:
        RequestError: the shapes differ, or are neither (images,) nor (seeds, images).
    """
    if a.shape != b.shape:
        raise RequestError(f"shapes of correctness differ: got {a.shape} and {b.shape}")
    if a.ndim not in (1, 2) or a.dtype != np.bool_ or b.dtype != np.bool_:
        raise RequestError(
            f"correctness is not (images,) or (seeds, images) of bool: got {a.shape} of {a.dtype}"
        )
    gains = np.sum(np.atleast_2d(a).astype(np.int64) - np.atleast_2d(b), axis=0)
    only_a, only_b = int(np.sum(gains > 0)), int(np.sum(gains < 0))
    if only_a == only_b:
        return McNemar(only_a, only_b, 1.0)
    # the binomial test of equal chances, whose two tails are equal
    tail = special.bdtr(min(only_a, only_b), only_a + only_b, 0.5)
    return McNemar(only_a, only_b, min(float(2 * tail), 1.0))
