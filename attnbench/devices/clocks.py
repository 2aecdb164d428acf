"""Clocks for work that a device executes asynchronously.

Written from PyTorch's documentation and tested against a simulated device; not yet run on a real
accelerator.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from time import perf_counter
from typing import Any

from attnbench.devices.memory import within_memory

Call = Callable[[], object]


class EventClock:
    """A clock of CUDA events around the calls, with a resolution of half a microsecond.

    A warm clock has one pair of events around all calls, including launches and the gaps between
    them, as in a stream of requests. A cold clock has a pair of events around each call and
    overwrites the cache before it, outside the pair; while the device is busy with that, Python
    launches ahead, so that cold figures contain less launch time than warm ones.

    Args:
        cuda: ``torch.cuda``, or a substitute.
        index: index of the device.
        flush: call that enqueues the overwriting of the cache; None for a warm clock.
        empty_cache: call that releases cached memory after the device ran out of it.
    """

    def __init__(
        self,
        cuda: Any,
        index: int,
        flush: Call | None = None,
        empty_cache: Call = lambda: None,
    ) -> None:
        self._cuda, self._index = cuda, index
        self._flush, self._empty_cache = flush, empty_cache

    def time(self, call: Call, count: int) -> float:
        """Return the total seconds of ``count`` calls on the device.

        Raises:
            DeviceError: the device ran out of memory.
        """
        measure = self._warm if self._flush is None else self._cold
        # events are recorded on the current stream of the current device
        with self._cuda.device(self._index):
            self._cuda.synchronize(self._index)
            return within_memory(lambda: measure(call, count), self._empty_cache)

    def _warm(self, call: Call, count: int) -> float:
        start, end = self._event(), self._event()
        start.record()
        for _ in repeat(None, count):
            call()
        end.record()
        end.synchronize()
        return _seconds(start, end)

    def _cold(self, call: Call, count: int) -> float:
        assert self._flush is not None
        pairs = [(self._event(), self._event()) for _ in range(count)]
        for start, end in pairs:
            self._flush()
            start.record()
            call()
            end.record()
        self._cuda.synchronize(self._index)
        return sum(_seconds(start, end) for start, end in pairs)

    def _event(self) -> Any:
        return self._cuda.Event(enable_timing=True)


class SynchronisedClock:
    """The processor's clock, read after synchronization; for accelerators without events.

    Args:
        synchronize: call that waits for all work on the device, ``torch.accelerator.synchronize``.
        empty_cache: call that releases cached memory after the device ran out of it.
        now: the clock, in seconds.
    """

    def __init__(
        self,
        synchronize: Call,
        empty_cache: Call = lambda: None,
        now: Callable[[], float] = perf_counter,
    ) -> None:
        self._synchronize, self._empty_cache, self._now = synchronize, empty_cache, now

    def time(self, call: Call, count: int) -> float:
        """Return the seconds from the first call until the device has finished the last.

        Raises:
            DeviceError: the device ran out of memory.
        """
        return within_memory(lambda: self._time(call, count), self._empty_cache)

    def _time(self, call: Call, count: int) -> float:
        self._synchronize()
        start = self._now()
        for _ in repeat(None, count):
            call()
        self._synchronize()
        return self._now() - start


DeviceClock = EventClock | SynchronisedClock


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
