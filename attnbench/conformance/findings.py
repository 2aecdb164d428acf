"""Findings of a check and the report on a module. This file does not import torch."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

OK = "ok"
BROKEN = "broken"
DECLARED = "declared"
NOTE = "note"
SKIPPED = "skipped"
STATUSES = (BROKEN, DECLARED, NOTE, SKIPPED, OK)
"""Statuses, most severe first: the contract is broken; it is broken, and the card declares the
reason; worth knowing or not declared; cannot be checked here; holds."""

INTERRUPTED = "interrupted before it ended"
"""Reason of a check that the user interrupted: its result is unknown."""
SHOWN = 4
"""Maximum number of names in a sentence; the values of the finding contain all of them."""


@dataclass(frozen=True)
class Finding:
    """One result of a check."""

    status: str
    reason: str = ""
    """Observation, with the value and the place, in one sentence."""
    remedy: str = ""
    """Recommended change, in one sentence; empty where none is needed."""
    check: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def of(self, check: str) -> Finding:
        """Return the finding with the name of its check."""
        return replace(self, check=check)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object; NaN and infinity become null."""
        return {**asdict(self), "values": plain(self.values)}


def plain(value: Any) -> Any:
    """Return a value in JSON types: array scalars become numbers, non-finite values null."""
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
    except (ValueError, RuntimeError):  # raised for an array with several values
        return str(value)


def failure(reason: str, remedy: str, **values: Any) -> Finding:
    """Return the finding that the contract is broken."""
    return Finding(BROKEN, reason, remedy, values=values)


def note(reason: str, remedy: str = "", **values: Any) -> Finding:
    """Return a note: worth knowing, or not declared; the contract is not broken."""
    return Finding(NOTE, reason, remedy, values=values)


def skip(reason: str, remedy: str = "") -> Finding:
    """Return the finding that the check cannot run here; the remedy makes it possible."""
    return Finding(SKIPPED, reason, remedy)


def success(reason: str = "", **values: Any) -> Finding:
    """Return the finding that the check holds; needed only for a reason or for values."""
    return Finding(OK, reason, values=values)


@dataclass(frozen=True)
class ConformanceReport:
    """Report with all findings on one module."""

    name: str
    """Canonical spec: ``ulsam,groups=8``."""
    title: str
    origin: str
    findings: tuple[Finding, ...]
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Return whether the contract holds, except for declared exceptions."""
        return not self.with_status(BROKEN)

    @property
    def verdict(self) -> str:
        """Return ``broken``, ``unfinished`` if a check was interrupted, else ``ok``."""
        if not self.passed:
            return "broken"
        interrupted = any(finding.reason == INTERRUPTED for finding in self.findings)
        return "unfinished" if interrupted else "ok"

    def with_status(self, status: str) -> tuple[Finding, ...]:
        """Return the findings of one status, in the order of the checks."""
        return tuple(finding for finding in self.findings if finding.status == status)

    def of(self, check: str) -> tuple[Finding, ...]:
        """Return the findings of one check."""
        return tuple(finding for finding in self.findings if finding.check == check)

    @property
    def drift(self) -> float | None:
        """Return the drift of the untrained module as a fraction; None where it is unknown."""
        values = (finding.values.get("drift") for finding in self.of("drift"))
        return next((float(value) for value in values if isinstance(value, int | float)), None)

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


def apply_exceptions(
    findings: Sequence[Finding],
    check: str,
    exceptions: Mapping[str, str],
    defects: Mapping[str, str],
) -> tuple[Finding, ...]:
    """Return the findings of a check, with exceptions and defects of the card applied.

    Args:
        findings: findings of the check.
        check: name of the check.
        exceptions: check to the reason why it cannot hold: a broken contract becomes *declared*.
        defects: check to a known defect of third-party code: it is named, but stays *broken*.
    """
    why, defect = exceptions.get(check), defects.get(check)
    named = tuple(finding.of(check) for finding in findings)
    if why and not {finding.status for finding in named} & {BROKEN, SKIPPED}:
        stale = note(f"the card declares an exception that is not needed: {why}", "Take it out.")
        return (*(finding for finding in named if finding.status != OK), stale.of(check))
    if not why and not defect:
        return named
    status, text = (DECLARED, f"declared: {why}") if why else (BROKEN, f"known: {defect}")
    return tuple(
        replace(finding, status=status, reason=f"{finding.reason} ({text})")
        if finding.status == BROKEN
        else finding
        for finding in named
    )


def merge_causes(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings of a module, with one exception in several checks reported by the first.

    The other checks are *skipped*: their property cannot be judged.
    """
    first: dict[str, Finding] = {}
    others: dict[str, list[Finding]] = {}
    merged: list[tuple[str, Finding]] = []
    for finding in findings:
        cause = _exception_of(finding)
        known = first.setdefault(cause, finding)
        if not cause or known.check == finding.check:
            merged.append((cause if known is finding else "", finding))
            continue
        others.setdefault(cause, []).append(finding)
        why = f"fails for the cause that {known.check} reports"
        merged.append(("", skip(why, "Mend that first.").of(finding.check)))
    return tuple(_with_others(finding, others.get(cause, ())) for cause, finding in merged)


def _with_others(finding: Finding, others: Sequence[Finding]) -> Finding:
    """Return a finding that says in how many other places its cause was found, and where."""
    if not others:
        return finding
    places = sum(len(other.values.get("places") or [other]) for other in others)
    checks = list(dict.fromkeys(other.check for other in others))
    text = f"also in {places} other {'place' if places == 1 else 'places'}: {join_names(checks)}"
    values = {**finding.values, "also": checks}
    return replace(finding, reason=f"{finding.reason} ({text})", values=values)


_EXCEPTION = re.compile(r"\w*(?:Error|Exception): .*")
_VARIABLE = re.compile(r"\d+|\b(?:c10::\w+|torch\.\w+|double|float|Half|BFloat16)\b")
"""Parts of an exception's text that depend on the map: numbers and dtypes."""


def _exception_of(finding: Finding) -> str:
    """Return the exception of a broken contract without numbers and dtypes; empty if none."""
    places = finding.values.get("places") or ()
    text = finding.reason.removesuffix(f" for {join_names(places)}")
    found = _EXCEPTION.search(text.partition("; ")[0] if not places else text)
    return _VARIABLE.sub("*", found[0]) if found and finding.status == BROKEN else ""


class Failures:
    """Failures of a check at several places, reported by kind."""

    def __init__(self) -> None:
        self.kinds: dict[str, tuple[str, list[str]]] = {}

    def add(self, kind: str, text: str, place: str) -> None:
        """Record a failure at a place; of each kind, the first text is kept."""
        _, places = self.kinds.setdefault(kind, (text, []))
        if place not in places:
            places.append(place)

    def findings(self, remedies: Callable[[str], str]) -> Iterator[Finding]:
        """Yield one finding per kind, with all its places."""
        for kind, (text, places) in self.kinds.items():
            yield failure(f"{text} for {join_names(places)}", remedies(kind), places=places)


def join_names(names: Iterable[object]) -> str:
    """Return the first names and the number of the others: ``a, b, c, d and 3 more``."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more
