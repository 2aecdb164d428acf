"""Checks of processor and memory: competing load, threads, clocks."""

from __future__ import annotations

from attnbench.doctor.host import Host, SystemFinding, note, ok, warning
from attnbench.system.cpu import glob_files, number, read, read_number, read_table

_GIB = 2**20  # in the kB of /proc/meminfo


def load(host: Host) -> SystemFinding | None:
    """Compare the load average with the number of cores."""
    if host.load is None:
        return None
    value = f"{host.load:.2f} on {host.cores} {'core' if host.cores == 1 else 'cores'}"
    if host.load < 0.3:
        return ok(value)
    level = warning if host.load > host.cores / 2 else note
    return level(
        value,
        "other processes take cores, caches and memory bandwidth from what is timed",
        "end other work and wait a minute; `top` shows it",
    )


def steal(host: Host) -> SystemFinding | None:
    """Report the steal time: the share that the hypervisor gave to other guests."""
    if host.steal is None:
        return None
    value = f"{host.steal:.1f}%"
    if host.steal < 0.5:
        return ok(value)
    level = warning if host.steal > 2 else note
    return level(
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
        return ok(value)
    return warning(
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
        return ok("not in use")
    return note(
        value,
        "a page that comes back from disk takes as long as a whole inference",
        "sudo swapoff -a && sudo swapon -a, once there is memory for it",
    )


def threads(host: Host) -> SystemFinding:
    """Compare the number of intra-operator threads with the number of usable cores."""
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    given = {name: host.environ[name] for name in variables if host.environ.get(name)}
    wanted = max([host.threads, *(number(text) or 0 for text in given.values())])
    set_ = [f"{name}={text}" for name, text in given.items()]
    value = ", ".join([f"PyTorch uses {host.threads}", *set_])
    if wanted <= host.usable:
        return ok(value)
    return warning(
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
        return ok(value)
    return note(
        f"{value}: {_ranges(sorted(host.allowed))}",
        "only these can be timed on; what else is pinned to them disturbs",
        "taskset -p $$ shows the mask; start from a shell without one for all cores",
    )


def siblings(host: Host) -> SystemFinding | None:
    """Report whether simultaneous multithreading is active."""
    folder = host.sys / "devices/system/cpu"
    active = read_number(folder / "smt/active")
    if active is None:
        files = glob_files(folder, "cpu[0-9]*/topology/thread_siblings_list")
        lists = [cores for cores in map(read, files) if cores]
        if not lists:
            return None
        active = int(any("," in cores or "-" in cores for cores in lists))
    if not active:
        return ok("one per core")
    return note(
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


def governor(host: Host) -> SystemFinding | None:
    """Report the kernel's frequency governors; None outside Linux."""
    if not (host.sys / "devices/system/cpu").is_dir():
        return None  # not Linux
    files = glob_files(host.sys / "devices/system/cpu", "cpu[0-9]*/cpufreq/scaling_governor")
    found = sorted({name for name in map(read, files) if name})
    if not found:
        return note(
            "not visible",
            "the host sets the clock, as it does for virtual machines, and may change it",
        )
    if found == ["performance"]:
        return ok("performance")
    return warning(
        ", ".join(found),
        "the clock follows the load, so the first calls after a pause are slower",
        "sudo cpupower frequency-set -g performance",
    )


def turbo(host: Host) -> SystemFinding | None:
    """Report whether clocks above the nominal frequency are enabled; None where unavailable."""
    cpu = host.sys / "devices/system/cpu"
    off, boost = read_number(cpu / "intel_pstate/no_turbo"), read_number(cpu / "cpufreq/boost")
    if off is None and boost is None:
        return None
    command = "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"
    if off is None:
        off = int(not boost)
        command = "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost"
    if off:
        return ok("off")
    return note(
        "on", "the clock falls as the chip warms up and as neighbouring cores get work", command
    )
