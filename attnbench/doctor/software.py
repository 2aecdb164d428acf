"""Checks of the software stack: Python, PyTorch, instruction set, runtimes, accelerator."""

from __future__ import annotations

import platform
from typing import Any

from attnbench.doctor.host import Host, SystemFinding, note, ok, warning
from attnbench.system.cpu import isa


def versions(host: Host) -> SystemFinding:
    """Report the versions that compared measurements must share."""
    import torch

    return ok(f"Python {platform.python_version()}, torch {torch.__version__}")


def instructions(host: Host) -> SystemFinding:
    """Report the instruction set that PyTorch's kernels use."""
    return judge_instructions(isa(), host.environ.get("ATEN_CPU_CAPABILITY"))


def judge_instructions(found: str, forced: str | None) -> SystemFinding:
    """Return the finding for an instruction set and the cap set by the environment, if any."""
    if forced:
        return warning(
            f"{found} (ATEN_CPU_CAPABILITY={forced})",
            "PyTorch is held to fewer instructions than the processor has",
            "unset ATEN_CPU_CAPABILITY",
        )
    if found in ("DEFAULT", "NO AVX"):
        return warning(
            found,
            "PyTorch runs its generic kernels, several times slower than on common processors",
            "use a processor, or a virtual machine type, with AVX2",
        )
    return ok(found)


def runtimes(host: Host) -> SystemFinding:
    """Report the runtimes that cannot be used on this machine."""
    from attnbench.runtimes.registry import runtime, runtimes

    return judge_runtimes({name: _missing(runtime, name) for name in runtimes()})


def judge_runtimes(missing: dict[str, str | None]) -> SystemFinding:
    """Return the finding for runtimes, given each one's reason for absence (None: available)."""
    there = [name for name, why in missing.items() if why is None]
    absent = {name: why for name, why in missing.items() if why is not None}
    if not absent:
        return ok(", ".join(there))
    return note(
        f"{', '.join(there) or 'none'}; missing: {', '.join(absent)}",
        "their columns stay empty",
        "; ".join(dict.fromkeys(absent.values())),
    )


def _missing(runtime: Any, name: str) -> str | None:
    try:
        found: str | None = runtime(name).missing()
    except Exception as error:  # a third-party runtime whose check fails
        return f"{name}: {str(error) or type(error).__name__}"
    return found


def accelerator(host: Host) -> SystemFinding | None:
    """Report clocks, persistence mode and throttling of the first accelerator; None without."""
    import torch

    from attnbench.devices.device import find_device, names

    there = names(torch)[1:]
    return judge_accelerator(find_device(there[0]).describe()) if there else None


def judge_accelerator(seen: dict[str, Any]) -> SystemFinding:
    """Return the finding for a device's description of itself."""
    clocks, title = seen.get("clocks"), str(seen["title"])
    if not seen["name"].startswith("cuda"):
        return ok(title)
    if clocks is None:
        return note(
            title,
            "its clocks and throttle reasons cannot be seen, so throttled rounds are not dropped",
            "pip install nvidia-ml-py",
        )
    value = f"{title}, {clocks['sm_mhz']} MHz, {clocks['temperature_c']} °C, {clocks['power_w']} W"
    if clocks["throttle_reasons"]:
        return warning(
            f"{value}: {', '.join(clocks['throttle_reasons'])}",
            "clocks are held down now, and will change",
            "let it cool; lock the clock with nvidia-smi --lock-gpu-clocks",
        )
    if clocks["persistence"] is False:
        return note(
            f"{value}, persistence mode off",
            "the driver unloads between processes, so each starts slowly and with cold clocks",
            "sudo nvidia-smi -pm 1",
        )
    return ok(value)
