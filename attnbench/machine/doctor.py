"""Everything that is looked at, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attnbench.machine import containers, frequency, load, software, threads
from attnbench.machine.findings import Finding
from attnbench.machine.host import Host

Check = Callable[[Host], Finding | None]
CHECKS: tuple[Check, ...] = (
    *load.CHECKS,
    *threads.CHECKS,
    *frequency.CHECKS,
    *containers.CHECKS,
    *software.CHECKS,
)


def examine(host: Host, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """Return the findings of all checks that apply; one that fails is itself a finding."""
    return [found for check in checks if (found := _asked(check, host)) is not None]


def _asked(check: Check, host: Host) -> Finding | None:
    try:
        return check(host)
    except Exception as error:  # an odd machine must not keep the others from being said
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return Finding(check.__name__, "note", f"could not be looked at ({reason})")
