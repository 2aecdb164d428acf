"""How long some calls took."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from time import perf_counter
from typing import Protocol


class Clock(Protocol):
    """Measures calls; a device has one of its own, and tests simulate one."""

    def time(self, call: Callable[[], object], count: int) -> float:
        """Return the seconds that ``count`` calls, one after the other, took together."""
        ...


class WallClock:
    """The processor's monotonic clock.

    The loop itself costs some 20 ns a call, which is inside the result, as in :mod:`timeit`.
    """

    def time(self, call: Callable[[], object], count: int) -> float:
        """Return the seconds that ``count`` calls, one after the other, took together."""
        start = perf_counter()
        for _ in repeat(None, count):
            call()
        return perf_counter() - start
