"""Clocks and throttle reasons of an NVIDIA GPU, through nvidia-ml-py where it is installed.

Written from NVML's documentation and tested against a simulated library; not yet run on a real
GPU.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

_REASONS = {
    "SwPowerCap": "power cap",
    "HwSlowdown": "hardware slowdown",
    "SwThermalSlowdown": "thermal slowdown (software)",
    "HwThermalSlowdown": "thermal slowdown (hardware)",
    "HwPowerBrakeSlowdown": "power brake",
}
"""Reasons that change the clock beneath a measurement. Idle, application clocks, synchronised
boost and display settings are constant, or gone once there is work."""
_POLICIES = ("NVML_PERF_POLICY_POWER", "NVML_PERF_POLICY_THERMAL")


class Throttle:
    """Says whether a GPU was throttled since it was last asked.

    The current reasons are those of one instant, so the counters of the time spent in power and
    thermal violations are compared as well, where the driver keeps them.

    Args:
        nvml: the module ``pynvml``, initialised, or what behaves like it.
        handle: of the GPU.
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle
        self._violations = self._read_violations()

    def throttled(self) -> bool:
        """Return whether clocks were held down since the last call, or since this was made."""
        before, self._violations = self._violations, self._read_violations()
        return self._violations != before or bool(self.reasons())

    def reasons(self) -> tuple[str, ...]:
        """Return why clocks are held down now; empty where they are not, or nobody knows."""
        now = self._read("nvmlDeviceGetCurrentClocksEventReasons")
        if now is None:  # the name of drivers before 535
            now = self._read("nvmlDeviceGetCurrentClocksThrottleReasons")
        return tuple(text for name, text in _REASONS.items() if (now or 0) & self._mask(name))

    def facts(self) -> dict[str, Any]:
        """Return clocks, temperature, power and persistence mode; None for what is not told."""
        nvml = self._nvml
        persistence = self._read("nvmlDeviceGetPersistenceMode")
        return {
            "sm_mhz": self._read("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM),
            "memory_mhz": self._read("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_MEM),
            "temperature_c": self._read("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU),
            "power_w": _watts(self._read("nvmlDeviceGetPowerUsage")),
            "power_limit_w": _watts(self._read("nvmlDeviceGetEnforcedPowerLimit")),
            "persistence": None if persistence is None else bool(persistence),
            "driver": _quietly(nvml, nvml.nvmlSystemGetDriverVersion),
            "throttle_reasons": list(self.reasons()),
        }

    def _mask(self, name: str) -> int:
        new, old = f"nvmlClocksEventReason{name}", f"nvmlClocksThrottleReason{name}"
        return int(getattr(self._nvml, new, 0) or getattr(self._nvml, old, 0))

    def _read_violations(self) -> list[int]:
        names = (getattr(self._nvml, one, None) for one in _POLICIES)
        found = (self._read("nvmlDeviceGetViolationStatus", one) for one in names)
        return [0 if one is None else int(one.violationTime) for one in found]

    def _read(self, function: str, *arguments: Any) -> Any:
        read = getattr(self._nvml, function, None)
        if read is None:
            return None
        return _quietly(self._nvml, lambda: read(self._handle, *arguments))


def watch(uuid: str, nvml: Any = None) -> Throttle | None:
    """Return a watcher of the GPU with this UUID; None without nvidia-ml-py or its driver.

    By UUID, because NVML counts all GPUs and PyTorch only the visible ones.

    Args:
        uuid: as ``torch.cuda.get_device_properties`` has it, with or without ``GPU-``.
        nvml: stands in for the module ``pynvml``.
    """
    try:
        nvml = nvml or importlib.import_module("pynvml")
    except ImportError:
        return None
    full = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"

    def open_device() -> Throttle:
        nvml.nvmlInit()
        return Throttle(nvml, nvml.nvmlDeviceGetHandleByUUID(full))

    found: Throttle | None = _quietly(nvml, open_device)
    return found


def _quietly(nvml: Any, read: Callable[[], Any]) -> Any:
    """Return what NVML says; None where this GPU or driver does not support it."""
    try:
        return read()
    except nvml.NVMLError:
        return None


def _watts(milliwatts: int | None) -> float | None:
    return None if milliwatts is None else milliwatts / 1e3
