"""Spearman's rank correlation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FEWEST = 4
"""Number of pairs below which a rank correlation is not estimated."""


def spearman(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return the rank correlation; None for too few pairs or where one side does not vary."""
    if len(pairs) < FEWEST or any(len(set(side)) < 2 for side in zip(*pairs, strict=True)):
        return None
    if any(math.isnan(value) for pair in pairs for value in pair):
        return None
    costs, ratios = map(_ranks, zip(*pairs, strict=True))
    return float(np.corrcoef(costs, ratios)[0, 1])


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Return the ranks of values; equal values have their mean rank."""
    array = np.asarray(values)
    ordered = np.sort(array)
    return (np.searchsorted(ordered, array) + np.searchsorted(ordered, array, "right") + 1) / 2
