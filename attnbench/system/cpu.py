"""Identity of the machine, which column heads name by processor and instruction set."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from attnbench.system.proc_files import read

PROC = Path("/proc")


def processor(proc: Path = PROC) -> str:
    """Return the processor's model name, ``"unknown"`` where the system reports none."""
    for line in (read(proc / "cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return " ".join(value.split())
    return platform.processor() or platform.machine() or "unknown"


def isa() -> str:
    """Return the widest instruction set that PyTorch's kernels use here: ``"AVX512"``."""
    import torch

    found = str(torch.backends.cpu.get_cpu_capability())
    if found == "DEFAULT" and platform.machine().lower() in ("aarch64", "arm64"):
        return "NEON"  # the instruction set of the default kernels on these processors
    return found


def machine(proc: Path = PROC) -> dict[str, Any]:
    """Return the facts that identify this machine in ``doctor`` and in records."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(proc),
        "cores": os.cpu_count() or 0,
        "isa": isa(),
    }
