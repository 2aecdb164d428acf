"""Verdicts on exact metrics; a larger value is worse."""

from __future__ import annotations

import math

from attnbench.regression.compare.comparison import MetricChange, Value, Verdict
from attnbench.regression.compare.record_pair import Judged, RecordPair


def judged_count(
    pair: RecordPair, metric: str, base: Value, new: Value, allowed: float = 0.0, reason: str = ""
) -> Judged | None:
    """Judge an exact metric of a case; return None where neither run has it.

    Args:
        pair: the case.
        metric: its name.
        base: its value in BASE.
        new: its value in NEW.
        allowed: the tolerated growth, as a fraction.
        reason: further explanation of a difference.
    """
    if base is None and new is None:
        return None
    if not isinstance(base, int | float) or not isinstance(new, int | float):
        side = "BASE" if base is None else "NEW"
        return "incomparable", pair.of(metric, base, new, f"{side} has no such figure")
    if base == new:
        return "unchanged", pair.of(metric, base, new, change=0.0)
    change = new / base - 1 if base else math.copysign(math.inf, new)
    reasons = [f"{_signed(new - base)}", *([reason] if reason else [])]
    return _verdict(new - base, allowed * abs(base)), MetricChange(
        pair.case, metric, base, new, reason="; ".join(reasons), change=finite(change)
    )


def finite(value: float) -> float | None:
    """Return the number, or None where JSON cannot represent it."""
    return value if math.isfinite(value) else None


def _verdict(more: float, allowed: float) -> Verdict:
    if more < 0:
        return "improvements"
    # 1000 plus 10% is 1100, which rounding of 1000 * 0.1 may miss
    return "regressions" if more > allowed * (1 + 1e-9) else "unchanged"


def _signed(difference: float) -> str:
    return f"{difference:+,}" if isinstance(difference, int) else f"{difference:+,.6g}"
