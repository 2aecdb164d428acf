"""Checks of competing load: load average, steal time, memory, swap."""

from __future__ import annotations

from attnbench.doctor.findings import SystemFinding
from attnbench.doctor.host import Host
from attnbench.system.cpu import read_table

_GIB = 2**20  # in the kB of /proc/meminfo


def load(host: Host) -> SystemFinding | None:
    """Compare the load average with the number of cores."""
    if host.load is None:
        return None
    value = f"{host.load:.2f} on {host.cores} {'core' if host.cores == 1 else 'cores'}"
    if host.load < 0.3:
        return SystemFinding("load", "ok", value)
    return SystemFinding(
        "load",
        "warning" if host.load > host.cores / 2 else "note",
        value,
        "other processes take cores, caches and memory bandwidth from what is timed",
        "end other work and wait a minute; `top` shows who it is",
    )


def steal(host: Host) -> SystemFinding | None:
    """Report the steal time: the share that the hypervisor gave to other guests."""
    if host.steal is None:
        return None
    value = f"{host.steal:.1f}%"
    if host.steal < 0.5:
        return SystemFinding("steal time", "ok", value)
    return SystemFinding(
        "steal time",
        "warning" if host.steal > 2 else "note",
        value,
        "the hypervisor stops this machine for others, in the middle of a call",
        "use a dedicated machine or instance, or give a larger --budget",
    )


def memory(host: Host) -> SystemFinding | None:
    """Report the memory available without swapping."""
    table = read_table(host.proc / "meminfo")
    if "MemAvailable" not in table:
        return None
    available = table["MemAvailable"] / _GIB
    value = f"{available:.1f} GiB available"
    if available >= 1:
        return SystemFinding("memory", "ok", value)
    return SystemFinding(
        "memory",
        "warning",
        value,
        "pages are reclaimed or swapped while calls are timed",
        "end other processes; `ps aux --sort=-rss | head` shows the largest",
    )


def swap(host: Host) -> SystemFinding | None:
    """Report the swap space in use."""
    table = read_table(host.proc / "meminfo")
    if "SwapTotal" not in table or "SwapFree" not in table:
        return None
    used = (table["SwapTotal"] - table["SwapFree"]) / _GIB
    value = f"{used:.1f} GiB in use"
    if used < 0.05:
        return SystemFinding("swap", "ok", "not in use")
    return SystemFinding(
        "swap",
        "note",
        value,
        "a page that comes back from disk takes as long as a whole inference",
        "sudo swapoff -a && sudo swapon -a, once there is memory for it",
    )


CHECKS = (load, steal, memory, swap)
