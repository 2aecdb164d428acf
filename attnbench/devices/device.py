"""A device: its clocks, its throttling, its memory and its description for records."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from attnbench.errors import RequestError
from attnbench.timing.clock import Clock, WallClock

if TYPE_CHECKING:
    import torch

    from attnbench.devices.nvml import Throttle


class Device:
    """A device that models run on.

    Attributes:
        name: ``"cpu"``, ``"cuda:1"``.
        kind: ``"cpu"``, ``"cuda"``, ``"mps"``, ``"xpu"``.
        index: index among the devices of its kind; 0 for the CPU.
    """

    def __init__(self, kind: str, index: int = 0, api: Any = None, nvml: Any = None) -> None:
        """Describe a device that is known to exist.

        Args:
            kind: kind of the device.
            index: index of the device.
            api: substitute for the module ``torch``.
            nvml: substitute for the module ``pynvml``.
        """
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
        from attnbench.devices.clocks import EventClock, SynchronisedClock

        accelerator = self._torch.accelerator
        if self.kind == "cuda":
            return EventClock(self._torch.cuda, self.index, empty_cache=accelerator.empty_cache)
        return SynchronisedClock(
            lambda: accelerator.synchronize(self.name), accelerator.empty_cache
        )

    @cached_property
    def cold_clock(self) -> Clock:
        """Clock with cold caches: the second-level cache is overwritten before each call.

        Raises:
            RequestError: the device is not a CUDA device.
        """
        if self.kind != "cuda":
            raise RequestError(f"cold timing needs a CUDA device, not {self.name}")
        from attnbench.devices.clocks import EventClock, l2_flush

        api = self._torch
        flush = l2_flush(api, self.index)
        return EventClock(api.cuda, self.index, flush, api.accelerator.empty_cache)

    @cached_property
    def watch(self) -> Throttle | None:
        """Monitor of the device clocks; None without an NVIDIA GPU and nvidia-ml-py."""
        if self.kind != "cuda":
            return None
        from attnbench.devices.nvml import watch

        return watch(str(self._properties.uuid), self._nvml)

    @property
    def throttled(self) -> Callable[[], bool] | None:
        """Check for throttling since the previous call; None where it is not reported."""
        return self.watch.throttled if self.watch else None

    def peak_bytes(self, call: Callable[[], object]) -> int | None:
        """Return the measured peak memory of one call; None where unavailable (the CPU).

        Raises:
            DeviceError: the device ran out of memory.
        """
        if self.kind == "cpu":
            return None
        from attnbench.devices.memory import measured_peak

        return measured_peak(call, self._torch.accelerator, self.name)

    def describe(self) -> dict[str, Any]:
        """Return the record form: name, title; on CUDA also capability, cache and clocks."""
        if self.kind == "cpu":
            from attnbench.system.cpu import processor

            return {"name": self.name, "title": processor()}
        if self.kind != "cuda":
            return {"name": self.name, "title": self.kind}
        properties = self._properties
        return {
            "name": self.name,
            "title": str(properties.name),
            "capability": f"{properties.major}.{properties.minor}",
            "memory_bytes": int(properties.total_memory),
            "l2_bytes": int(properties.L2_cache_size),
            "clocks": self.watch.facts() if self.watch else None,
        }

    @property
    def _torch(self) -> Any:
        if self._given is None:
            import torch

            return torch
        return self._given

    @property
    def _properties(self) -> Any:
        return self._torch.cuda.get_device_properties(self.index)

    def __repr__(self) -> str:
        return f"Device({self.name!r})"
