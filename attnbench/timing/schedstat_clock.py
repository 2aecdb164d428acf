"""A wall clock that stands still while the kernel runs other programs on our processor."""

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
    """Wall time less what the calling thread spent ready to run, waiting for a processor.

    That waiting is another program's time, and on a shared machine most of the noise. Sleeping
    and input count as ever. For arms of one thread only: where an arm's own threads crowd each
    other out, the waiting is its own cost.

    Source: field 2 of ``/proc/.../schedstat``, nanoseconds on the run queue
    (Documentation/scheduler/sched-stats in the Linux kernel).
    """

    def __init__(self) -> None:
        self._file = os.open(_FILE, os.O_RDONLY)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def time(self, call: Callable[[], object], count: int) -> float:
        """Return the seconds that ``count`` calls took, without waiting for the processor."""
        start, waited_before = self._now()
        for _ in repeat(None, count):
            call()
        end, waited = self._now()
        return end - start - (waited - waited_before)

    def _now(self) -> tuple[float, float]:
        """The time and the waiting up to it, both of one moment: no wait came between."""
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
    """Return the clock for arms of one thread: this one, or the wall's where there is none.

    Without the file, or where it does not count (its first field stays 0), the wall clock it is.
    The file is of the thread that asks, so make the clock where the timing happens.
    """
    try:
        clock = UnsharedClock()
    except OSError:
        return WallClock()
    ran = int(os.pread(clock._file, 64, 0).split()[0])
    return clock if ran > 0 else WallClock()
