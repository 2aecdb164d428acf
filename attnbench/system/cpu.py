"""The processor and its instruction set, and readers of the files in which Linux reports its state.

A missing file is no error.
"""

from __future__ import annotations

import platform
from pathlib import Path

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


def read(path: Path) -> str | None:
    """Return the stripped text of a file; None where it is missing or cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except (OSError, ValueError):
        return None


def read_number(path: Path) -> int | None:
    """Return the integer in a file; None where there is none (``max``, nothing, no file)."""
    return number(read(path))


def number(text: str | None) -> int | None:
    """Return a text as an integer, or None."""
    try:
        return int(text or "")
    except ValueError:
        return None


def read_table(path: Path) -> dict[str, int]:
    """Return the lines ``key value`` or ``key: value kB`` of a file whose value is an integer."""
    lines = (line.replace(":", " ").split() for line in (read(path) or "").splitlines())
    pairs = ((words[0], number(words[1])) for words in lines if len(words) > 1)
    return {key: value for key, value in pairs if value is not None}


def glob_files(folder: Path, pattern: str) -> list[Path]:
    """Return the matching files in order; none where the folder cannot be read."""
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []
