"""Clocks that measure the duration of repeated calls."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from itertools import repeat
from time import perf_counter
from typing import Protocol

_FILE = "/proc/thread-self/schedstat"
_TRIES = 8


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
        start = self._now()
        for _ in repeat(None, count):
            call()
        return self._now() - start

    def _now(self) -> float:
        return perf_counter()


class UnsharedClock(WallClock):
    """Clock of wall time minus the time on the run queue of the calling thread.

    On a shared machine, run-queue time belongs to other programs and is most of the noise. Sleeping
    and input are included. The clock is for arms of one thread only: if an arm's own threads
    compete for cores, their waiting is part of its cost.

    Source: field 2 of ``/proc/.../schedstat``, nanoseconds on the run queue
    (Documentation/scheduler/sched-stats in the Linux kernel).
    """

    def __init__(self) -> None:
        self._file = os.open(_FILE, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    @property
    def is_counted(self) -> bool:
        """Whether the kernel counts: otherwise field 1, the time on a core, stays 0."""
        return self._read(0) > 0

    def _now(self) -> float:
        """Return the time less the run-queue time up to it, read without a wait in between."""
        waited, now = self._read(1), perf_counter()
        for _ in range(_TRIES):
            if (after := self._read(1)) == waited:
                break
            waited, now = after, perf_counter()
        return now - waited

    def _read(self, field: int) -> float:
        return int(os.pread(self._file, 64, 0).split()[field]) * 1e-9


def single_thread_clock() -> WallClock:
    """Return the clock for arms of one thread: :class:`UnsharedClock` if available, else wall time.

    It is unavailable without the file, or if the kernel does not count. The file belongs to the
    calling thread, so create the clock in the thread that measures.
    """
    try:
        clock = UnsharedClock()
    except OSError:
        return WallClock()
    return clock if clock.is_counted else WallClock()
