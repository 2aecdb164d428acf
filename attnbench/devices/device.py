"""Devices by name: clocks, throttling, memory, and the description for records."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, cached_property, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from attnbench.devices.clocks import EventClock, SynchronizedClock, l2_flush
from attnbench.devices.cuda_graph import capture_graph
from attnbench.devices.memory import measure_peak
from attnbench.devices.nvml import Throttle, watch_gpu
from attnbench.devices.tf32 import is_tf32_allowed
from attnbench.errors import MissingExtraError, RequestError, suggestion
from attnbench.system.cpu import processor
from attnbench.timing.clock import Clock, WallClock

if TYPE_CHECKING:
    import torch

KINDS = ("cpu", "cuda", "mps", "xpu")


class Device:
    """A device that models run on, known to exist; its ``name`` is ``"cpu"`` or ``"cuda:1"``.

    Args:
        kind: ``"cpu"``, ``"cuda"``, ``"mps"``, ``"xpu"``.
        index: index among the devices of its kind; 0 for the CPU.
        api: substitute for the module ``torch``.
        nvml: substitute for the module ``pynvml``.
    """

    def __init__(self, kind: str, index: int = 0, api: Any = None, nvml: Any = None) -> None:
        self.kind, self.index = kind, index
        self.name = kind if kind == "cpu" else f"{kind}:{index}"
        self._given, self._nvml = api, nvml

    @property
    def torch_device(self) -> torch.device:
        """The corresponding ``torch.device``."""
        import torch

        return torch.device(self.name)

    @cached_property
    def clock(self) -> Clock:
        """Clock with warm caches, as the previous call left them."""
        if self.kind == "cpu":
            return WallClock()
        accelerator = self._torch.accelerator
        if self.kind == "cuda":
            return self._event_clock()
        synchronize = partial(accelerator.synchronize, self.name)
        return SynchronizedClock(synchronize, accelerator.empty_cache)

    @cached_property
    def cold_clock(self) -> Clock:
        """Clock with cold caches: the second-level cache is overwritten before each call.

        Raises:
            RequestError: the device is not a CUDA device.
        """
        if self.kind != "cuda":
            raise RequestError(f"--cold needs a CUDA device: got {self.name}. Leave out --cold.")
        return self._event_clock(l2_flush(self._torch, self.index))

    @cached_property
    def watch(self) -> Throttle | None:
        """Monitor of the device clocks; None without an NVIDIA GPU and nvidia-ml-py."""
        is_cuda = self.kind == "cuda"
        return watch_gpu(str(self._properties.uuid), self._nvml) if is_cuda else None

    @property
    def throttled(self) -> Callable[[], bool] | None:
        """Check for throttling since the previous call; None where it is not reported."""
        return self.watch.is_throttled if self.watch else None

    def sampling_facts(self) -> dict[str, Any]:
        """Return the state of the device over the rounds so far; empty for the CPU.

        Whether throttling was ``watched``, or why not; on CUDA also whether TF32 was allowed, and
        the lowest and highest clock.
        """
        if self.kind == "cpu":
            return {}
        if self.kind != "cuda":
            return {"throttling": f"not watched: {self.kind} does not report it"}
        facts = {"tf32": is_tf32_allowed(self._torch.backends)}
        if self.watch is None:
            return {**facts, "throttling": "not watched: no nvidia-ml-py, or no answer from NVML"}
        return {**facts, **self.watch.seen_facts()}

    def launch_share(self, call: Callable[[], object]) -> float | None:
        """Return the share of the device's time that launching a call takes; None but on CUDA.

        Raises:
            DeviceError: the device ran out of memory.
        """
        return self._event_clock().launch_share(call) if self.kind == "cuda" else None

    def peak_bytes(self, call: Callable[[], object]) -> int | None:
        """Return the measured peak memory of one call; None where unavailable (the CPU).

        Raises:
            DeviceError: the device ran out of memory.
        """
        is_cpu = self.kind == "cpu"
        return None if is_cpu else measure_peak(call, self._torch.accelerator, self.name)

    def synchronize(self) -> None:
        """Wait for all work on the device."""
        if self.kind != "cpu":
            self._torch.accelerator.synchronize(self.name)

    def capture_graph(self, call: Callable[[], object]) -> Callable[[], object]:
        """Return a call that replays the work of another on this device as a CUDA graph.

        Raises:
            DeviceError: it cannot be captured, or the replay does not compute its output.
        """
        return capture_graph(call, self.index, self._torch.cuda)

    def describe(self) -> dict[str, Any]:
        """Return the record form: name, title; on CUDA also capability, cache, TF32 and clocks."""
        if self.kind != "cuda":
            return {"name": self.name, "title": processor() if self.kind == "cpu" else self.kind}
        properties = self._properties
        return {
            "name": self.name,
            "title": str(properties.name),
            "capability": f"{properties.major}.{properties.minor}",
            "memory_bytes": int(properties.total_memory),
            "l2_bytes": int(properties.L2_cache_size),
            "tf32": is_tf32_allowed(self._torch.backends),
            "clocks": self.watch.facts() if self.watch else None,
        }

    def _event_clock(self, flush: Callable[[], object] | None = None) -> EventClock:
        look = self.watch.look if self.watch else lambda: None
        empty_cache = self._torch.accelerator.empty_cache
        return EventClock(self._torch.cuda, self.index, flush, empty_cache, look)

    @property
    def _torch(self) -> Any:
        return self._given or import_module("torch")

    @property
    def _properties(self) -> Any:
        return self._torch.cuda.get_device_properties(self.index)

    def __repr__(self) -> str:
        return f"Device({self.name!r})"


def find_device(name: str, api: Any = None) -> Device:
    """Return the device called ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or ``xpu``.

    Args:
        name: name as on the command line; without a number, the first device of its kind.
        api: substitute for the module ``torch``.

    Raises:
        MissingExtraError: no such device exists here; the message lists those that do.
        RequestError: the name is invalid; the message lists the kinds.
    """
    match = re.fullmatch(r"([a-z]+)(?::(\d+))?", name)
    kind = match[1] if match else ""
    if match is None or kind not in KINDS or (kind == "cpu" and match[2]):
        raise RequestError(
            f"device is unknown: got {name!r}.{suggestion(name, KINDS)} "
            "Choose from cpu, cuda, cuda:1, mps, xpu."
        )
    index = int(match[2] or 0)
    return _known(kind, index) if api is None else _find(kind, index, api)


@cache
def _known(kind: str, index: int) -> Device:
    return _find(kind, index, import_module("torch"))


def _find(kind: str, index: int, api: Any) -> Device:
    if kind == "cpu":
        return Device(kind)
    available = names(api)
    if f"{kind}:{index}" not in available:
        raise MissingExtraError(
            f"device is not on this machine: got {kind}:{index}. "
            f"Choose from {', '.join(available)}."
        )
    return Device(kind, index, api)


def names(api: Any) -> list[str]:
    """Return the names of this machine's devices: ``["cpu", "cuda:0"]``; `api` is ``torch``."""
    accelerator = api.accelerator
    if not accelerator.is_available():
        return ["cpu"]
    kind = accelerator.current_accelerator().type
    return ["cpu", *(f"{kind}:{i}" for i in range(accelerator.device_count()))]
