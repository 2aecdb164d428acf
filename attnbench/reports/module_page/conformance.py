"""Summary of a module's conformance checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attnbench.conformance.checks import Check, default_checks
from attnbench.conformance.findings import BROKEN, DECLARED, NOTE, SKIPPED, STATUSES
from attnbench.registry.attention import Attention

_COUNTED = ((BROKEN, "broken"), (DECLARED, "declared"), (SKIPPED, "skipped"))


def conformance_of(attention: Attention, tell: Callable[[Check], object] = id) -> dict[str, Any]:
    """Run the quick checks; return ``conformance`` and ``drift``, the relative change of a map.

    Args:
        attention: the module with its options.
        tell: a progress callback, called with each check as it begins.
    """
    from attnbench.conformance.examine import examine

    report = examine(attention, default_checks(), on_check=tell)
    results = report.to_dict()
    conformance = {key: results[key] for key in ("passed", "counts", "findings")}
    return {"conformance": conformance, "drift": report.drift}


def summary(findings: Sequence[Mapping[str, Any]]) -> str:
    """Return ``22 checks hold, 1 declared, 2 notes``, by each check's most severe finding."""
    worst: dict[str, str] = {}
    for finding in findings:
        before = worst.get(finding["check"], finding["status"])
        worst[finding["check"]] = min(before, finding["status"], key=STATUSES.index)
    statuses = list(worst.values())
    holding = sum(1 for status in statuses if status not in dict(_COUNTED))
    parts = [f"{holding} {'check holds' if holding == 1 else 'checks hold'}"]
    parts += [f"{statuses.count(status)} {word}" for status, word in _COUNTED if status in statuses]
    notes = sum(1 for finding in findings if finding["status"] == NOTE)
    return ", ".join([*parts, *([f"{notes} {'note' if notes == 1 else 'notes'}"] if notes else [])])


def drift_text(drift: float | None) -> str:
    """Return the drift as a sentence."""
    if drift is None:
        return "how much it changes an untrained map is not known"
    if drift == 0:
        return "leaves every map as it is before training"
    return f"changes an untrained map by {_percent(drift)} (||y-x||/||x||)"


def _percent(fraction: float) -> str:
    """Return a percentage with two significant digits: 0.51%, 0.0012%, 26%, 140%."""
    percent = 100 * fraction
    return f"{percent:.0f}%" if percent >= 10 else f"{percent:.2g}%"
