"""Checks of the number of threads, of CPU affinity and of simultaneous multithreading."""

from __future__ import annotations

from attnbench.doctor.findings import SystemFinding
from attnbench.doctor.host import Host
from attnbench.system.cpu import glob_files, number, read, read_number

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def threads(host: Host) -> SystemFinding:
    """Compare the number of intra-operator threads with the number of usable cores."""
    given = {name: host.environ[name] for name in _VARIABLES if host.environ.get(name)}
    wanted = max([host.threads, *(number(text) or 0 for text in given.values())])
    value = ", ".join(
        [f"PyTorch uses {host.threads}", *(f"{name}={text}" for name, text in given.items())]
    )
    if wanted <= host.usable:
        return SystemFinding("threads", "ok", value)
    return SystemFinding(
        "threads",
        "warning",
        f"{value}; {host.usable} usable",
        "threads that share a core wait for each other in every operator",
        f"export OMP_NUM_THREADS={host.usable}, or give --threads",
    )


def affinity(host: Host) -> SystemFinding | None:
    """Report the CPU affinity of this process; None where it is unavailable."""
    if not host.allowed:
        return None
    value = f"{len(host.allowed)} of {host.cores} cores"
    if len(host.allowed) >= host.cores:
        return SystemFinding("affinity", "ok", value)
    return SystemFinding(
        "affinity",
        "note",
        f"{value}: {_ranges(sorted(host.allowed))}",
        "only these can be timed on; what else is pinned to them disturbs",
        "taskset -p $$ shows the mask; start from a shell without one for all cores",
    )


def siblings(host: Host) -> SystemFinding | None:
    """Report whether simultaneous multithreading is active."""
    folder = host.sys / "devices/system/cpu"
    active = read_number(folder / "smt/active")
    if active is None:
        lists = [
            read(file) for file in glob_files(folder, "cpu[0-9]*/topology/thread_siblings_list")
        ]
        if not any(lists):
            return None
        active = int(any("," in (cores or "") or "-" in (cores or "") for cores in lists))
    if not active:
        return SystemFinding("hardware threads", "ok", "one per core")
    return SystemFinding(
        "hardware threads",
        "note",
        "several share a core",
        "what runs on the sibling halves the speed of what is timed",
        "echo off | sudo tee /sys/devices/system/cpu/smt/control, or leave the siblings idle",
    )


def _ranges(numbers: list[int]) -> str:
    """Return ``0-3,8`` for a sorted list."""
    parts: list[list[int]] = []
    for value in numbers:
        if parts and parts[-1][-1] == value - 1:
            parts[-1][1:] = [value]
        else:
            parts.append([value])
    return ",".join("-".join(map(str, part)) for part in parts)


CHECKS = (threads, affinity, siblings)
