"""The input of the checks: ``/proc``, ``/sys`` and values from operating-system calls."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Host:
    """The view of a machine that the checks read; tests build one from temporary files.

    Attributes:
        proc: ``/proc``.
        sys: ``/sys``.
        environ: the environment variables.
        cores: the number of logical cores of the whole machine.
        allowed: the cores that this process may use; None where unavailable (macOS).
        load: the mean number of runnable threads over the last minute; None on Windows.
        steal: the percentage of time that the hypervisor gave to other guests; None where
            unavailable.
        threads: the number of PyTorch's intra-operator threads.
    """

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    environ: Mapping[str, str] = field(default_factory=dict)
    cores: int = 1
    allowed: frozenset[int] | None = None
    load: float | None = None
    steal: float | None = None
    threads: int = 1

    @property
    def usable(self) -> int:
        """Return the number of cores that this process may use."""
        return len(self.allowed) if self.allowed else self.cores


def this_host(watch_s: float = 0.5) -> Host:
    """Return this machine, with the steal time sampled over ``watch_s`` seconds."""
    import torch

    return Host(
        environ=dict(os.environ),
        cores=os.cpu_count() or 1,
        allowed=_allowed(),
        load=_load(),
        steal=_steal(watch_s),
        threads=torch.get_num_threads(),
    )


def _allowed() -> frozenset[int] | None:
    if not hasattr(os, "sched_getaffinity"):
        return None
    return frozenset(os.sched_getaffinity(0))


def _load() -> float | None:
    with suppress(OSError, AttributeError):  # unavailable; Windows
        return os.getloadavg()[0]
    return None


def _steal(watch_s: float) -> float | None:
    import psutil

    with suppress(Exception):  # psutil raises its own errors where /proc/stat is hidden
        times = psutil.cpu_times_percent(interval=watch_s)
        return float(times.steal) if hasattr(times, "steal") else None
    return None
