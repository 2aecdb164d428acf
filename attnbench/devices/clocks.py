"""Clocks for work that a device executes asynchronously.

Written from PyTorch's documentation and tested against a simulated device; not yet run on a real
accelerator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from statistics import median
from time import perf_counter
from typing import Any

from attnbench.devices.memory import raise_out_of_memory

Call = Callable[[], object]

_LAUNCHES = 5
"""Calls over which launching is timed: a few hundred kernels, fewer than the driver's queue holds,
beyond which launching waits for the device."""
_TRIES = 5


@dataclass(frozen=True)
class EventClock:
    """A clock of CUDA events around the calls, with a resolution of half a microsecond.

    A warm clock has one pair of events around all calls, including launches and the gaps between
    them, as in a stream of requests. A cold clock has a pair of events around each call and
    overwrites the cache before it, outside the pair. Overwriting takes tens of microseconds and
    launching a network in eager mode milliseconds: cold figures of a network contain launch time
    like warm ones, unless the call replays a CUDA graph.

    Args:
        cuda: ``torch.cuda``, or a substitute.
        index: index of the device.
        flush: call that enqueues the overwriting of the cache; None for a warm clock.
        empty_cache: call that releases cached memory after the device ran out of it.
        look: call that reads the state of the device while it works.
    """

    cuda: Any
    index: int
    flush: Call | None = None
    empty_cache: Call = lambda: None
    look: Call = lambda: None

    def time(self, call: Call, count: int) -> float:
        """Return the total seconds of ``count`` calls on the device.

        Raises:
            DeviceError: the device ran out of memory.
        """
        measure = self._warm if self.flush is None else self._cold
        # events are recorded on the current stream of the current device
        with self.cuda.device(self.index):
            self.cuda.synchronize(self.index)
            return raise_out_of_memory(lambda: measure(call, count), self.empty_cache)

    def launch_share(self, call: Call, now: Callable[[], float] = perf_counter) -> float:
        """Return the share of the device's time in which the processor was still launching.

        At 1 the device waits for the processor: the figures are those of Python and the driver.

        Args:
            call: one inference.
            now: the processor's clock, in seconds.

        Raises:
            DeviceError: the device ran out of memory.
        """

        def share() -> float:
            start, end = self._event(), self._event()
            start.record()
            begun = now()
            for _ in repeat(None, _LAUNCHES):
                call()
            launched = now() - begun
            end.record()
            end.synchronize()
            return min(1.0, launched / max(_seconds(start, end), 1e-9))

        with self.cuda.device(self.index):
            self.time(call, 1)
            tries = (raise_out_of_memory(share, self.empty_cache) for _ in range(_TRIES))
            return median(tries)

    def _warm(self, call: Call, count: int) -> float:
        start, end = self._event(), self._event()
        start.record()
        for _ in repeat(None, count):
            call()
        end.record()
        self.look()  # all is launched: the device is still at it
        end.synchronize()
        return _seconds(start, end)

    def _cold(self, call: Call, count: int) -> float:
        assert self.flush is not None
        pairs = [(self._event(), self._event()) for _ in range(count)]
        for start, end in pairs:
            self.flush()
            start.record()
            call()
            end.record()
        self.look()
        self.cuda.synchronize(self.index)
        return sum(_seconds(start, end) for start, end in pairs)

    def _event(self) -> Any:
        return self.cuda.Event(enable_timing=True)


@dataclass(frozen=True)
class SynchronizedClock:
    """The processor's clock, read after synchronization; for accelerators without events.

    Args:
        synchronize: call that waits for all work on the device, ``torch.accelerator.synchronize``.
        empty_cache: call that releases cached memory after the device ran out of it.
        now: the clock, in seconds.
    """

    synchronize: Call
    empty_cache: Call = lambda: None
    now: Callable[[], float] = perf_counter

    def time(self, call: Call, count: int) -> float:
        """Return the seconds from the first call until the device has finished the last.

        Raises:
            DeviceError: the device ran out of memory.
        """

        def measure() -> float:
            self.synchronize()
            start = self.now()
            for _ in repeat(None, count):
                call()
            self.synchronize()
            return self.now() - start

        return raise_out_of_memory(measure, self.empty_cache)


def l2_flush(api: Any, index: int) -> Call:
    """Return a call that overwrites the second-level cache with a buffer of twice its size.

    Args:
        api: ``torch``, or a substitute; the buffer is allocated once, here.
        index: index of the CUDA device.
    """
    size = 2 * int(api.cuda.get_device_properties(index).L2_cache_size)
    flush: Call = api.empty(size, dtype=api.uint8, device=f"cuda:{index}").zero_
    return flush


def _seconds(start: Any, end: Any) -> float:
    return float(start.elapsed_time(end)) / 1e3  # events report milliseconds
