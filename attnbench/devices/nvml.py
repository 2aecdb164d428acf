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
"""Throttle reasons that change the clock during a measurement. Idle, application clocks,
synchronized boost and display settings are constant, or end as soon as there is work."""
_POLICIES = ("NVML_PERF_POLICY_POWER", "NVML_PERF_POLICY_THERMAL")


class Throttle:
    """A monitor that reports whether a GPU was throttled since the previous check.

    The current reasons are a snapshot, and after a round the device is idle, so they are read while
    it works (:meth:`look`). The counters of the time spent in power and thermal violations are
    compared as well, where the driver keeps them.

    Args:
        nvml: the initialized module ``pynvml``, or a substitute.
        handle: NVML handle of the GPU.
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle
        self._violations = self._read_violations()
        self._seen = False
        self._clocks: set[int] = set()

    def look(self) -> None:
        """Read reasons and clock while the device works; :meth:`is_throttled` reports them."""
        self._seen = self._seen or bool(self.reasons())
        clock = self._read("nvmlDeviceGetClockInfo", self._nvml.NVML_CLOCK_SM)
        if clock is not None:
            self._clocks.add(int(clock))

    def is_throttled(self) -> bool:
        """Return whether clocks were reduced since the previous call, or since construction."""
        before, self._violations = self._violations, self._read_violations()
        seen, self._seen = self._seen, False
        return seen or self._violations != before or bool(self.reasons())

    def reasons(self) -> tuple[str, ...]:
        """Return the current reasons for reduced clocks; empty if none are reported."""
        now = self._read_reasons() or 0
        return tuple(text for name, text in _REASONS.items() if now & self._mask(name))

    def seen_facts(self) -> dict[str, Any]:
        """Return whether throttling could be watched, and the lowest and highest clock seen."""
        is_blind = self._read_reasons() is None and set(self._violations) == {None}
        return {
            "throttling": "not watched: the driver reports no reasons" if is_blind else "watched",
            "sm_mhz": [min(self._clocks), max(self._clocks)] if self._clocks else None,
        }

    def _read_reasons(self) -> int | None:
        now: int | None = self._read("nvmlDeviceGetCurrentClocksEventReasons")
        if now is None:  # the name in drivers before 535
            now = self._read("nvmlDeviceGetCurrentClocksThrottleReasons")
        return now

    def facts(self) -> dict[str, Any]:
        """Return clocks, temperature, power and persistence mode; None for unsupported values."""
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

    def _read_violations(self) -> list[int | None]:
        policies = (getattr(self._nvml, name, None) for name in _POLICIES)
        states = (self._read("nvmlDeviceGetViolationStatus", policy) for policy in policies)
        return [None if status is None else int(status.violationTime) for status in states]

    def _read(self, function: str, *arguments: Any) -> Any:
        read = getattr(self._nvml, function, None)
        if read is None:
            return None
        return _quietly(self._nvml, lambda: read(self._handle, *arguments))


def watch_gpu(uuid: str, nvml: Any = None) -> Throttle | None:
    """Return a monitor of the GPU with this UUID; None without nvidia-ml-py or its driver.

    The UUID is used because NVML numbers all GPUs and PyTorch only the visible ones.

    Args:
        uuid: UUID as in ``torch.cuda.get_device_properties``, with or without ``GPU-``.
        nvml: substitute for the module ``pynvml``.
    """
    try:
        nvml = nvml or importlib.import_module("pynvml")
    except ImportError:
        return None
    full = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
    try:
        nvml.nvmlInit()
        return Throttle(nvml, nvml.nvmlDeviceGetHandleByUUID(full))
    except nvml.NVMLError:
        return None


def _quietly(nvml: Any, read: Callable[[], Any]) -> Any:
    """Return the value that NVML reports; None where the GPU or driver does not support it."""
    try:
        return read()
    except nvml.NVMLError:
        return None


def _watts(milliwatts: int | None) -> float | None:
    return None if milliwatts is None else milliwatts / 1e3
