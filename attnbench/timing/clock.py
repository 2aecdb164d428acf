"""Clocks that measure the duration of repeated calls."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from time import perf_counter
from typing import Protocol


class Clock(Protocol):
    """Clock for repeated calls; devices have their own, and tests simulate one."""

    def time(self, call: Callable[[], object], count: int) -> float:
        """Return the seconds that ``count`` calls, one after the other, took together."""
        ...


class WallClock:
    """Monotonic clock of the CPU.

    The result includes the loop overhead of about 20 ns per call, as in :mod:`timeit`.
    """

    def time(self, call: Callable[[], object], count: int) -> float:
        """Return the seconds that ``count`` calls, one after the other, took together."""
        start = perf_counter()
        for _ in repeat(None, count):
            call()
        return perf_counter() - start
