"""Checks of virtualization: hypervisor and container limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attnbench.doctor.host import Host, SystemFinding, note, ok, warning
from attnbench.system.cpu import number, read, read_number, read_table

_UNLIMITED = 2**60  # version 1 writes a number near 2^63 for no limit


def virtual(host: Host) -> SystemFinding | None:
    """Report whether this machine is virtual; None where the processor flags are unavailable."""
    lines = (read(host.proc / "cpuinfo") or "").splitlines()
    flags = next((line for line in lines if line.startswith("flags")), None)
    if flags is None:
        return None  # other architectures do not report flags
    if "hypervisor" not in flags.split():
        return ok("none")
    vendor = read(host.sys / "class/dmi/id/sys_vendor")
    return note(
        f"virtual machine{f' ({vendor})' if vendor else ''}",
        "neighbours share caches, memory bandwidth and the power budget, unseen from here",
        "compare only what was timed in one run; pool several processes",
    )


def quota(host: Host) -> SystemFinding | None:
    """Report the CPU quota of the container; None without one."""
    limits = [limit for folder in _groups(host) if (limit := _cpu_limit(folder)) is not None]
    if not limits:
        return None
    value = f"{min(limits):g} of {host.usable} cores"
    if min(limits) >= host.usable:
        return ok(value)
    whole = max(1, int(min(limits)))
    return warning(
        value,
        "once it is used up, all threads stop until the next period, some 100 ms",
        f"use at most {whole} {'thread' if whole == 1 else 'threads'}, or start the container with "
        "--cpuset-cpus instead of --cpus",
    )


def quota_stops(host: Host) -> SystemFinding | None:
    """Report the number of times that the CPU quota has throttled this container."""
    tables = [read_table(folder / "cpu.stat") for folder in _groups(host)]
    counts = [table["nr_throttled"] for table in tables if "nr_throttled" in table]
    if not counts:
        return None
    if not max(counts):
        return ok("none")
    return warning(
        f"stopped {max(counts)} times since the container started",
        "a stop in the middle of a call is measured as that call",
        "use fewer threads than the quota allows, or lift it",
    )


def memory_limit(host: Host) -> SystemFinding | None:
    """Report the memory limit of the container; None without one."""
    limits = [limit for folder in _groups(host) for limit in _memory_limits(folder)]
    if not limits:
        return None
    gib = min(limits) / 2**30
    value = f"{gib:.1f} GiB"
    if gib >= 2:
        return ok(value)
    return warning(
        value,
        "runtimes that compile need 1 to 2 GiB, and near the limit pages are reclaimed",
        "start the container with a larger --memory",
    )


def cpuset(host: Host) -> SystemFinding | None:
    """Report the cores to which the container is confined; None without a restriction."""
    names = ("cpuset.cpus.effective", "cpuset.effective_cpus")
    found = [text for folder in _groups(host) for name in names if (text := read(folder / name))]
    if not found or _size(found[0]) >= host.cores:
        return None
    return note(
        found[0], "this container has these cores; make sure that no other one has them too"
    )


def _groups(host: Host) -> Iterator[Path]:
    """Yield the control groups (v1 and v2) of this process and their ancestors, deepest first."""
    root = host.sys / "fs/cgroup"
    paths = {""}
    controllers = {""}
    for line in (read(host.proc / "self/cgroup") or "").splitlines():
        _, names, path = ([*line.split(":", 2), "", ""])[:3]
        parts = Path(path.lstrip("/")).parts
        if ".." not in parts:  # outside this namespace
            paths |= {str(Path(*parts[:end])) for end in range(1, len(parts) + 1)}
        controllers.add(names.removeprefix("name="))
    controllers |= {"cpu", "memory", "cpuset"}
    folders = {root / controller / path for controller in controllers for path in paths}
    yield from sorted(filter(Path.is_dir, folders), key=lambda folder: -len(folder.parts))


def _cpu_limit(folder: Path) -> float | None:
    words = (read(folder / "cpu.max") or "").split()
    allowed = number(words[0]) if words else read_number(folder / "cpu.cfs_quota_us")
    period = number(words[1]) if len(words) > 1 else read_number(folder / "cpu.cfs_period_us")
    if allowed is None or allowed <= 0 or not period:  # "max" in version 2, -1 in version 1
        return None
    return allowed / period


def _memory_limits(folder: Path) -> list[int]:
    limits = (read_number(folder / name) for name in ("memory.max", "memory.limit_in_bytes"))
    return [limit for limit in limits if limit is not None and limit < _UNLIMITED]


def _size(cores: str) -> int:
    """Return the number of cores in a list such as ``0-3,8``."""
    total = 0
    for part in cores.split(","):
        first, _, last = part.partition("-")
        start, end = number(first), number(last or first)
        total += end - start + 1 if start is not None and end is not None else 0
    return total
