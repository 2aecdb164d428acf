"""One device: its clocks, its throttling, its memory, what to write down about it."""

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
        index: among the devices of its kind; 0 for the CPU.
    """

    def __init__(self, kind: str, index: int = 0, api: Any = None, nvml: Any = None) -> None:
        """Describe a device that is known to be there.

        Args:
            kind: its kind.
            index: its number.
            api: stands in for the module ``torch``.
            nvml: stands in for the module ``pynvml``.
        """
        self.kind, self.index = kind, index
        self.name = kind if kind == "cpu" else f"{kind}:{index}"
        self._given, self._nvml = api, nvml

    @property
    def torch_device(self) -> torch.device:
        """What tensors are moved to."""
        import torch

        return torch.device(self.name)

    @cached_property
    def clock(self) -> Clock:
        """Its clock, caches left as the call before left them."""
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
        """Its clock, the second-level cache overwritten before each call.

        Raises:
            RequestError: there is none but on CUDA.
        """
        if self.kind != "cuda":
            raise RequestError(f"cold timing needs a CUDA device, not {self.name}")
        from attnbench.devices.clocks import EventClock, l2_flush

        api = self._torch
        flush = l2_flush(api, self.index)
        return EventClock(api.cuda, self.index, flush, api.accelerator.empty_cache)

    @cached_property
    def watch(self) -> Throttle | None:
        """What sees its clocks; None without an NVIDIA GPU and nvidia-ml-py."""
        if self.kind != "cuda":
            return None
        from attnbench.devices.nvml import watch

        return watch(str(self._properties.uuid), self._nvml)

    @property
    def throttled(self) -> Callable[[], bool] | None:
        """Says whether it was throttled since it was last asked; None where nobody can tell."""
        return self.watch.throttled if self.watch else None

    def peak_bytes(self, call: Callable[[], object]) -> int | None:
        """Return what one call holds at most, measured; None where that cannot be (the CPU).

        Raises:
            DeviceError: it ran out of memory.
        """
        if self.kind == "cpu":
            return None
        from attnbench.devices.memory import measured_peak

        return measured_peak(call, self._torch.accelerator, self.name)

    def describe(self) -> dict[str, Any]:
        """Return what is recorded: name and title, on CUDA capability, caches and clocks now."""
        if self.kind == "cpu":
            from attnbench.system.cpu import processor

            return {"name": self.name, "title": processor()}
        if self.kind != "cuda":
            return {"name": self.name, "title": self.kind}
        seen = self._properties
        return {
            "name": self.name,
            "title": str(seen.name),
            "capability": f"{seen.major}.{seen.minor}",
            "memory_bytes": int(seen.total_memory),
            "l2_bytes": int(seen.L2_cache_size),
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
