"""Clock of wall time that excludes waiting for a CPU core."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import repeat
from time import perf_counter
from typing import Self

from attnbench.timing.clock import Clock, WallClock

_FILE = "/proc/thread-self/schedstat"
_TRIES = 8


class UnsharedClock:
    """Clock of wall time minus the time on the run queue of the calling thread.

    On a shared machine, run-queue time belongs to other programs and is most of the noise. Sleeping
    and input are included. The clock is for arms of one thread only: if an arm's own threads
    compete for cores, their waiting is part of its cost.

    Source: field 2 of ``/proc/.../schedstat``, nanoseconds on the run queue
    (Documentation/scheduler/sched-stats in the Linux kernel).
    """

    def __init__(self) -> None:
        self._file = os.open(_FILE, os.O_RDONLY)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def time(self, call: Callable[[], object], count: int) -> float:
        """Return the seconds that ``count`` calls took, without time on the run queue."""
        start, waited_before = self._now()
        for _ in repeat(None, count):
            call()
        end, waited = self._now()
        return end - start - (waited - waited_before)

    def _now(self) -> tuple[float, float]:
        """Return the time and the run-queue time up to it, read without a wait in between."""
        waited = self._waited()
        now = perf_counter()
        for _ in range(_TRIES):
            if (after := self._waited()) == waited:
                break
            waited, now = after, perf_counter()
        return now, waited

    def _waited(self) -> float:
        return int(os.pread(self._file, 64, 0).split()[1]) * 1e-9


def single_thread_clock() -> Clock:
    """Return the clock for arms of one thread: :class:`UnsharedClock` if available, else wall time.

    It is unavailable without the file, or if the kernel does not count (its first field stays 0).
    The file belongs to the calling thread, so create the clock in the thread that measures.
    """
    try:
        clock = UnsharedClock()
    except OSError:
        return WallClock()
    ran = int(os.pread(clock._file, 64, 0).split()[0])
    return clock if ran > 0 else WallClock()
