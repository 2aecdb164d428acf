"""Checks of CPU frequency scaling: governor and turbo."""

from __future__ import annotations

from attnbench.doctor.findings import SystemFinding
from attnbench.doctor.host import Host
from attnbench.system.cpu import glob_files, read, read_number


def governor(host: Host) -> SystemFinding | None:
    """Report the kernel's frequency governors; None outside Linux."""
    if not (host.sys / "devices/system/cpu").is_dir():
        return None  # not Linux
    files = glob_files(host.sys / "devices/system/cpu", "cpu[0-9]*/cpufreq/scaling_governor")
    found = sorted({name for name in map(read, files) if name})
    if not found:
        return SystemFinding(
            "frequency governor",
            "note",
            "not visible",
            "the host sets the clock, as it does for virtual machines, and may change it",
        )
    if found == ["performance"]:
        return SystemFinding("frequency governor", "ok", "performance")
    return SystemFinding(
        "frequency governor",
        "warning",
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
        return SystemFinding("turbo", "ok", "off")
    return SystemFinding(
        "turbo",
        "note",
        "on",
        "the clock falls as the chip warms up and as neighbouring cores get work",
        command,
    )


CHECKS = (governor, turbo)
