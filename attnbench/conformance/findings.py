"""What a check has to say of a module. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

OK = "ok"
BROKEN = "broken"
DECLARED = "declared"
NOTE = "note"
SKIPPED = "skipped"
STATUSES = (BROKEN, DECLARED, NOTE, SKIPPED, OK)
"""Most pressing first: the contract is broken; it is, and the card says why that has to be; worth
knowing or not declared; cannot be checked here; holds."""

INTERRUPTED = "interrupted before it ended"
"""Reason of a check that was stopped by the user: whether it holds is not known."""


@dataclass(frozen=True)
class Finding:
    """One thing that a check found."""

    status: str
    reason: str = ""
    """What was seen: the value and the place, in one sentence."""
    remedy: str = ""
    """What to change, in one sentence; empty where there is nothing to do."""
    check: str = ""
    """Name of the check; filled in by whoever runs it."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What was measured, for JSON."""

    def of(self, check: str) -> Finding:
        """Return the finding with the name of its check."""
        return replace(self, check=check)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object; what is NaN or infinite is null there."""
        return {**asdict(self), "values": plain(self.values)}


def plain(value: Any) -> Any:
    """Return a value as JSON has it: scalars of arrays as numbers, what is not finite as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(element) for key, element in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(element) for element in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    item = getattr(value, "item", None)
    try:
        return plain(item()) if item else str(value)
    except (ValueError, RuntimeError):  # of an array with several values
        return str(value)


def broken(reason: str, remedy: str, **values: Any) -> Finding:
    """The contract is broken."""
    return Finding(BROKEN, reason, remedy, values=values)


def note(reason: str, remedy: str = "", **values: Any) -> Finding:
    """Worth knowing, or not declared; nothing is broken."""
    return Finding(NOTE, reason, remedy, values=values)


def skipped(reason: str, remedy: str = "") -> Finding:
    """Cannot be checked here: the way to have it checked is the remedy."""
    return Finding(SKIPPED, reason, remedy)


def fine(reason: str = "", **values: Any) -> Finding:
    """It holds; only needed where there is something to say or a value to keep."""
    return Finding(OK, reason, values=values)


@dataclass(frozen=True)
class ConformanceReport:
    """All findings on one module."""

    name: str
    """The canonical spec: ``ulsam,groups=8``."""
    title: str
    origin: str
    findings: tuple[Finding, ...]
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the contract holds, declared exceptions aside."""
        return not self.with_status(BROKEN)

    @property
    def verdict(self) -> str:
        """``broken``, ``unfinished`` if it was interrupted, else ``ok``."""
        if not self.passed:
            return "broken"
        return (
            "unfinished"
            if any(finding.reason == INTERRUPTED for finding in self.findings)
            else "ok"
        )

    def with_status(self, status: str) -> tuple[Finding, ...]:
        """Return the findings of one status, in the order of the checks."""
        return tuple(finding for finding in self.findings if finding.status == status)

    def of(self, check: str) -> tuple[Finding, ...]:
        """Return the findings of one check."""
        return tuple(finding for finding in self.findings if finding.check == check)

    @property
    def drift(self) -> float | None:
        """What the untrained module changes of its map, as a fraction; None where not known."""
        for finding in self.of("drift"):
            value = finding.values.get("drift")
            if isinstance(value, int | float):
                return float(value)
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "name": self.name,
            "title": self.title,
            "origin": self.origin,
            "passed": self.passed,
            "verdict": self.verdict,
            "counts": {status: len(self.with_status(status)) for status in STATUSES},
            "findings": [finding.to_dict() for finding in self.findings],
            "seconds": round(self.seconds, 2),
        }


def excused(
    findings: Sequence[Finding],
    check: str,
    exceptions: Mapping[str, str],
    defects: Mapping[str, str],
) -> tuple[Finding, ...]:
    """Return the findings of a check, those that the card speaks of marked so.

    Args:
        findings: what the check found.
        check: its name.
        exceptions: check to the reason why it cannot hold: a broken contract becomes *declared*.
        defects: check to a defect that is known of somebody else's code: it is named, not excused.
    """
    why, known = exceptions.get(check), defects.get(check)
    named = tuple(finding.of(check) for finding in findings)
    bad = [finding for finding in named if finding.status == BROKEN]
    if why and not bad and not any(finding.status == SKIPPED for finding in named):
        stale = note(f"the card declares an exception that is not needed: {why}", "Take it out.")
        return (*(finding for finding in named if finding.status != OK), stale.of(check))
    if why:
        return tuple(_with(finding, DECLARED, f"declared: {why}") for finding in named)
    return tuple(_with(finding, BROKEN, f"known: {known}") for finding in named) if known else named


def _with(found: Finding, status: str, text: str) -> Finding:
    if found.status != BROKEN:
        return found
    return replace(found, status=status, reason=f"{found.reason} ({text})")


SHOWN = 4
"""Names that a sentence bears; the values of the finding hold them all."""


def listed(names: Iterable[object]) -> str:
    """Return the first names and how many more there are: ``a, b, c, d and 3 more``."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more
