"""Values in display units. Internally, overheads are logarithms of ratios, which are additive."""

from __future__ import annotations

import math

from attnbench.regression.history.metric_values import ACCURACIES, FALLBACKS, OVERHEAD, PEAK

Value = int | float | str
_BYTES = ("bytes", PEAK)
_UNITS = {
    OVERHEAD: "time over the plain backbone's, less 1",
    FALLBACKS: "operators off the fast path, or graph breaks",
    **dict.fromkeys(_BYTES, "bytes"),
    **dict.fromkeys(ACCURACIES, "points of accuracy over the plain backbone"),
}


def unit(metric: str) -> str:
    """Return the unit of a metric's values; empty for plain counts."""
    return _UNITS.get(metric, "")


def outward(metric: str, value: Value) -> Value:
    """Return a value in the unit of documents and figures: overheads as fractions."""
    if metric == OVERHEAD and not isinstance(value, str):
        return math.expm1(value)
    return value


def bound(metric: str, value: float | None) -> float | None:
    """Return an end of an interval in the display unit; None where it is missing or infinite."""
    if value is None or not math.isfinite(value):
        return None
    return float(outward(metric, value))


def text(metric: str, value: Value) -> str:
    """Return a value as text: ``3,504,872``, ``+3.1%``, ``-0.42``, ``failed``."""
    if isinstance(value, str):
        return value
    if metric == OVERHEAD:
        return f"{math.expm1(value):+.1%}"
    return f"{value:+.2f}" if metric in ACCURACIES else f"{int(value):,}"


def difference(metric: str, value: float) -> str:
    """Return a difference as text, with its sign: ``+96``, ``+5.0%``, ``-0.42``."""
    return f"{int(value):+,}" if metric not in (OVERHEAD, *ACCURACIES) else text(metric, value)


def is_worse(metric: str, old: Value, new: Value) -> bool:
    """Return whether a change is for the worse: higher cost, lower accuracy, no longer ok."""
    if isinstance(old, str) or isinstance(new, str):
        return new != "ok"
    return new < old if metric in ACCURACIES else new > old
