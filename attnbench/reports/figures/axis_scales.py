"""Scales of axes: a logarithmic one for skewed values, and limits that outliers do not set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, floor, isfinite, log10
from statistics import median
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Mark = tuple[float, float, float]
"""Low, middle and high value; all equal without an interval."""

_SKEWED = 6.0
_FEW = 5
_CUT = 3 * 1.4826


def lower_fence(values: Sequence[float]) -> float:
    """Return the value below which others are outliers: the median less three scaled MADs.

    The MAD is the median absolute deviation, scaled by 1.4826 to the standard deviation of a normal
    distribution. With fewer than five values, or a MAD of zero, there is no fence: -inf.
    """
    middle = median(values) if values else 0.0
    spread = median(abs(value - middle) for value in values) if len(values) >= _FEW else 0.0
    return middle - _CUT * spread if spread else float("-inf")


def split_at_fence(marks: Sequence[Mark]) -> tuple[list[Mark], list[Mark]]:
    """Return the marks on the axis, and those whose middle is an outlier below it."""
    fence = lower_fence([mark[1] for mark in marks])
    return [mark for mark in marks if mark[1] >= fence], [mark for mark in marks if mark[1] < fence]


def limits_of(marks: Iterable[Mark]) -> tuple[float, float]:
    """Return limits around zero and the middles, with a margin of the median interval.

    Wider intervals are cut by the frame instead of stretching the axis.
    """
    known = list(marks)
    values = [0.0, *(middle for _, middle, _ in known)]
    reaches = [high - middle for _, middle, high in known if isfinite(high)]
    low, high = min(values), max(values)
    margin = max(median(reaches) if reaches else 0.0, 0.08 * (high - low)) or 1.0
    return low - 1.1 * margin, high + 1.1 * margin


def clip_interval(mark: Mark, limits: tuple[float, float]) -> tuple[float, float]:
    """Return the ends of an interval, infinite ones moved outside of the limits."""
    size = limits[1] - limits[0]
    low = mark[0] if isfinite(mark[0]) else limits[0] - size
    return low, mark[2] if isfinite(mark[2]) else limits[1] + size


def scale_axis(
    axes: Axes, which: Literal["x", "y"], values: Iterable[float], ticks: int = 6
) -> None:
    """Make an axis symmetrically logarithmic if its largest value dwarfs the median one.

    It is linear up to a power of ten below most values, so that zero has its place. At most
    ``ticks`` powers of ten are written.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter

    sizes = sorted(abs(value) for value in values if value)
    if not sizes or sizes[-1] < _SKEWED * median(sizes):
        return
    first, last = floor(log10(sizes[len(sizes) // 4])), ceil(log10(sizes[-1]))
    (axes.set_xscale if which == "x" else axes.set_yscale)("symlog", linthresh=10.0**first)
    stride = -(-(last - first + 1) // ticks)
    powers = [10.0**at for at in range(last, first - 1, -stride)]
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator([*(-power for power in powers), 0.0, *powers]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _grouped(value)))


def _grouped(value: float) -> str:
    """Return a power of ten as on a linear axis below a thousand, else as 10k, 1M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}".replace("-", "\u2212")
    return f"{value:g}".replace("-", "\u2212")
