"""Clocks for work that a device executes asynchronously, and CUDA graphs of such work.

Written from PyTorch's documentation and tested against a simulated device; not yet run on a real
accelerator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from itertools import repeat
from time import perf_counter
from typing import Any

from attnbench.devices.memory import raise_out_of_memory
from attnbench.errors import DeviceError
from attnbench.utils.text import first_line

Call = Callable[[], object]

_WARM_UP = 3
"""Calls before a capture: lazy initialization and autotuning must not be captured."""


@dataclass(frozen=True)
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

    cuda: Any
    index: int
    flush: Call | None = None
    empty_cache: Call = lambda: None

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

    def _warm(self, call: Call, count: int) -> float:
        start, end = self._event(), self._event()
        start.record()
        for _ in repeat(None, count):
            call()
        end.record()
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


def capture_graph(call: Call, cuda: Any = None) -> Call:
    """Return a call that replays the device work of ``call``.

    It reads and writes the memory that was bound when it was captured, and returns None.

    Args:
        call: one inference on bound tensors, without synchronization or control flow on values.
        cuda: ``torch.cuda``, or a substitute.

    Raises:
        DeviceError: the call cannot be captured; the message has the reason.
    """
    cuda = cuda or import_module("torch").cuda
    try:
        side = cuda.Stream()  # the default stream cannot be captured
        side.wait_stream(cuda.current_stream())
        with cuda.stream(side):
            for _ in range(_WARM_UP):
                call()
        cuda.current_stream().wait_stream(side)
        graph = cuda.CUDAGraph()
        with cuda.graph(graph):
            call()
    except Exception as error:  # any operation that a capture forbids
        reason = f"no CUDA graph: the call cannot be captured: {first_line(error)}"
        raise DeviceError(reason) from None
    replay: Call = graph.replay
    return replay
