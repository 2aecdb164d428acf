"""pytest-benchmark: its presence in a pytest run, and its rounds of a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

FEWEST, MOST = 5, 1000
"""Limits of the number of pytest-benchmark's rounds."""
_SHARE = 0.25
"""Share of the budget that pytest-benchmark's own rounds take in addition to it."""


def has_benchmark(config: pytest.Config) -> bool:
    """Return whether pytest-benchmark is installed, and not blocked by ``-p no:benchmark``."""
    return config.getoption("--benchmark-disable", default=None) is not None


def pedantic(
    benchmark: Any, run: Callable[[], object], median_s: float, budget_s: float, threads: int = 1
) -> None:
    """Time a call by pytest-benchmark, in as many rounds as a share of the budget allows."""
    from attnbench.timing.isolation import quiet

    # as in the sampler: the clock's overhead becomes negligible
    iterations = max(1, round(1e-3 / median_s))
    rounds = int(_SHARE * budget_s / (iterations * median_s))
    with quiet(threads):
        benchmark.pedantic(
            run, rounds=min(max(rounds, FEWEST), MOST), iterations=iterations, warmup_rounds=1
        )
