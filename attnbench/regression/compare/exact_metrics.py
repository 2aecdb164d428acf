"""Exact figures, of which more is worse."""

from __future__ import annotations

import math

from attnbench.regression.compare.comparison import MetricChange, Value, Verdict
from attnbench.regression.compare.record_pair import Judged, RecordPair


def judged_count(
    pair: RecordPair, metric: str, base: Value, new: Value, allowed: float = 0.0, reason: str = ""
) -> Judged | None:
    """Judge a figure of a case; None where neither run has it.

    Args:
        pair: the case.
        metric: what it is called.
        base: the figure in BASE.
        new: the figure in NEW.
        allowed: the fraction by which it may grow.
        reason: what else there is to say of a difference.
    """
    if base is None and new is None:
        return None
    if not isinstance(base, int | float) or not isinstance(new, int | float):
        side = "BASE" if base is None else "NEW"
        return "incomparable", pair.of(metric, base, new, f"{side} has no such figure")
    if base == new:
        return "unchanged", pair.of(metric, base, new, change=0.0)
    change = new / base - 1 if base else math.copysign(math.inf, new)
    told = [f"{_signed(new - base)}", *([reason] if reason else [])]
    return _verdict(new - base, allowed * abs(base)), MetricChange(
        pair.case, metric, base, new, reason="; ".join(told), change=finite(change)
    )


def finite(value: float) -> float | None:
    """Return a number that JSON can hold, or None."""
    return value if math.isfinite(value) else None


def _verdict(more: float, allowed: float) -> Verdict:
    if more < 0:
        return "improvements"
    # 1000 and 10% are 1100, which 1000 * 0.1 may fall short of by rounding
    return "regressions" if more > allowed * (1 + 1e-9) else "unchanged"


def _signed(difference: float) -> str:
    return f"{difference:+,}" if isinstance(difference, int) else f"{difference:+,.6g}"
