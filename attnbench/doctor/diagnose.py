"""All checks of the doctor, in the order of its report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from attnbench.doctor import containers, resources, software
from attnbench.doctor.host import Host, SystemFinding

Check = Callable[[Host], SystemFinding | None]
CHECKS: Mapping[str, Check] = {
    "load": resources.load,
    "steal time": resources.steal,
    "memory": resources.memory,
    "swap": resources.swap,
    "threads": resources.threads,
    "affinity": resources.affinity,
    "hardware threads": resources.siblings,
    "frequency governor": resources.governor,
    "turbo": resources.turbo,
    "virtualisation": containers.virtual,
    "processor quota": containers.quota,
    "quota stops": containers.quota_stops,
    "memory limit": containers.memory_limit,
    "cpuset": containers.cpuset,
    "versions": software.versions,
    "instruction set": software.instructions,
    "runtimes": software.runtimes,
    "accelerator": software.accelerator,
}
"""Checks by the name of their findings; None if a check does not apply to the machine."""


def examine(host: Host, checks: Mapping[str, Check] = CHECKS) -> list[SystemFinding]:
    """Return the findings of all checks that apply; a check that raises yields a finding too."""
    findings = [_run(name, check, host) for name, check in checks.items()]
    return [finding for finding in findings if finding is not None]


def _run(name: str, check: Check, host: Host) -> SystemFinding | None:
    try:
        finding = check(host)
    except Exception as error:  # one failing check must not hide the other findings
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return SystemFinding(check.__name__, "note", f"could not be looked at ({reason})")
    return replace(finding, name=name) if finding else None
