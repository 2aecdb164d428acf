"""Spearman's rank correlation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

FEWEST = 4
"""Number of pairs below which a rank correlation is not estimated."""


def spearman(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return the rank correlation; None for too few pairs or where one side does not vary."""
    if len(pairs) < FEWEST or any(len(set(side)) < 2 for side in zip(*pairs, strict=True)):
        return None
    from scipy.stats import spearmanr  # a second to import

    costs, ratios = zip(*pairs, strict=True)
    result: Any = spearmanr(costs, ratios)
    value = float(result.statistic)
    return None if math.isnan(value) else value
