"""Input of the checks (``/proc``, ``/sys``, operating-system calls) and their findings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal


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


@dataclass(frozen=True)
class SystemFinding:
    """The result of one check.

    Attributes:
        name: the name of the check, such as ``"frequency governor"``.
        level: ``ok``; ``note`` (information only); ``warning`` (to be remedied before timing).
        value: the observed value, with its unit.
        why: the adverse effect on timing; empty if there is none.
        remedy: the remedy, as a command where one exists; empty if there is none.
    """

    name: str
    level: Literal["ok", "note", "warning"]
    value: str
    why: str = ""
    remedy: str = ""


ok, note, warning = (partial(SystemFinding, "", level) for level in ("ok", "note", "warning"))
"""Factories of the findings of one level; :func:`~attnbench.doctor.diagnose.examine` names them."""


def this_host(watch_s: float = 0.5) -> Host:
    """Return this machine, with the steal time sampled over ``watch_s`` seconds."""
    import torch

    return Host(
        environ=dict(os.environ),
        cores=os.cpu_count() or 1,
        allowed=frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        load=_load(),
        steal=_steal(watch_s),
        threads=torch.get_num_threads(),
    )


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
