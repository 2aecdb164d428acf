"""All checks of the doctor, in the order of its report."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attnbench.doctor import containers, cpu_frequency, software, system_load, threads
from attnbench.doctor.findings import SystemFinding
from attnbench.doctor.host import Host

Check = Callable[[Host], SystemFinding | None]
CHECKS: tuple[Check, ...] = (
    *system_load.CHECKS,
    *threads.CHECKS,
    *cpu_frequency.CHECKS,
    *containers.CHECKS,
    *software.CHECKS,
)


def examine(host: Host, checks: Sequence[Check] = CHECKS) -> list[SystemFinding]:
    """Return the findings of all checks that apply; a check that raises yields a finding too."""
    return [finding for check in checks if (finding := _run(check, host)) is not None]


def _run(check: Check, host: Host) -> SystemFinding | None:
    try:
        return check(host)
    except Exception as error:  # one failing check must not hide the other findings
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return SystemFinding(check.__name__, "note", f"could not be looked at ({reason})")
