"""Latency values as text."""

from __future__ import annotations

from collections.abc import Callable

from attnbench.reports.tables.latency_results import LatencyCell
from attnbench.reports.tables.number_format import NOTHING

VERDICT_RULE = (
    "Overhead: the centre (Hodges-Lehmann) of the same-round ratios to the plain network, with a "
    "95% interval. slower, faster: a difference of at least 1% and beyond the A/A floor, claimed "
    "so that at most 5% of such claims in a table are wrong; same within x%: the whole interval "
    "is, x at most 3; inconclusive: neither, or the A/A arm (the plain network timed against its "
    "own copy) failed. The floor is the largest difference that the A/A interval allows. Times of "
    "one thread are without what other programs took of the processor."
)


def overhead(one: LatencyCell) -> str:
    """Return ``+4.2% [+3.8, +4.6] slower``, or for a module alone ``12.3x [12.1, 12.5]``."""
    timing, judgment = one.timing, one.judgment
    if timing is None or judgment is None:
        return one.status
    arm = timing.arm
    if timing.is_plain:
        return f"A/A {interval(arm.low, arm.high)}"
    if one.case.backbone is None:
        return f"{arm.ratio:.3g}x [{arm.low:.3g}, {arm.high:.3g}]"
    return f"{percent(arm.ratio)} {interval(arm.low, arm.high)} {verdict(one)}"


def verdict(one: LatencyCell) -> str:
    """Return the verdict, such as ``slower`` or ``same within 0.8%``."""
    if one.judgment is None:
        return one.status
    if one.judgment.verdict == "same" and one.judgment.within is not None:
        return f"same within {100 * one.judgment.within:.2g}%"
    return one.judgment.verdict


def percent(ratio: float) -> str:
    """Return a ratio as a signed difference, ``+4.2%``."""
    return f"{_signed(ratio)}%"


def interval(low: float, high: float) -> str:
    """Return the interval ``[+3.8, +4.6]``, in percent."""
    return f"[{_signed(low)}, {_signed(high)}]"


def _signed(ratio: float) -> str:
    difference = 100 * (ratio - 1)
    text = f"{difference:+.0f}" if abs(difference) >= 100 else f"{difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def milliseconds(seconds: float) -> str:
    """Return milliseconds with three significant digits."""
    value = 1000 * seconds
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.{2 if value >= 1 else 4 if value < 0.1 else 3}f}"


def figure(one: LatencyCell, key: str) -> str:
    """Return the text of a latency column."""
    if one.timing is None:
        return one.status
    return _FIGURES[key](one)


def size(count: int | None) -> str:
    """Return a number of bytes as ``4.59 MiB``."""
    if count is None:
        return NOTHING
    return f"{count / 2**20:.2f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB"


def _throughput(cell: LatencyCell) -> str:
    value = cell.timing.throughput if cell.timing else 0.0
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _export(cell: LatencyCell) -> str:
    seconds = (cell.values.get("export_s") or 0.0) + (cell.values.get("load_s") or 0.0)
    return f"{seconds:.1f}"


def _floor(cell: LatencyCell) -> str:
    return f"{100 * cell.judgment.floor:.1f}%" if cell.judgment else NOTHING


def _decimals(cell: LatencyCell, key: str, scale: float = 1.0) -> str:
    value = cell.values.get(key)
    return NOTHING if value is None else f"{scale * value:.1f}"


def _quantile(key: str) -> Callable[[LatencyCell], str]:
    return lambda cell: milliseconds(getattr(cell.timing.own, key)) if cell.timing else NOTHING


_FIGURES: dict[str, Callable[[LatencyCell], str]] = {
    "overhead": overhead,
    "median": _quantile("median"),
    "p90": _quantile("p90"),
    "p99": _quantile("p99"),
    "min": _quantile("minimum"),
    "throughput": _throughput,
    "peak": lambda cell: size(cell.values.get("peak_bytes")),
    "export": _export,
    "floor": _floor,
    "sqnr": lambda cell: _decimals(cell, "sqnr_db"),
    "top1": lambda cell: _decimals(cell, "top1_agreement", 100.0),
}
