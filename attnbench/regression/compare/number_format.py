"""Text format of the values and changes of a comparison."""

from __future__ import annotations

from attnbench.regression.compare.comparison import VERDICTS, MetricChange, RunComparison, Value
from attnbench.regression.compare.gates import LATENCY, OVERHEAD, TOP1

_ONE = {"regressions": "regression", "improvements": "improvement"}


def summary(comparison: RunComparison) -> str:
    """Return ``2 regressions, 1 improvement, 96 unchanged``; verdicts without a case are omitted.

    "no regressions" is included unless there are missing cases, which fail as well.
    """
    counts = {verdict: len(getattr(comparison, verdict)) for verdict in VERDICTS}
    parts = [
        f"{count} {_ONE.get(verdict, verdict) if count == 1 else verdict}"
        for verdict, count in counts.items()
        if count or (verdict == "regressions" and not counts["missing"])
    ]
    if not any(counts.values()):
        return "nothing was compared"
    return ", ".join(parts).replace("0 regressions", "no regressions")


def value(metric: str, figure: Value) -> str:
    """Return a value in its metric's format: an overhead in percent, counts with commas."""
    if figure is None:
        return "none"
    if isinstance(figure, str):
        return figure
    if metric == OVERHEAD:
        # a module alone is many times its baseline, a network's overhead some percent
        return f"{figure:.3g}x" if figure >= 2 else _percent(figure - 1)
    if metric == TOP1:
        return f"{figure:.2f}%"
    return f"{figure:.4g}" if metric == LATENCY else f"{figure:,}"


def change(one: MetricChange) -> str:
    """Return the size of a change, with its interval: ``+5.0% [+3.9, +6.2]``."""
    if one.change is None:
        return ""
    amount, unit = _amount(one.metric, one.change)
    if one.low is None or one.high is None:
        return f"{amount}{unit}"
    ends = ", ".join(_amount(one.metric, end)[0] for end in (one.low, one.high))
    return f"{amount}{unit} [{ends}]"


def why(one: MetricChange) -> str:
    """Return the reason, with the smallest detectable change."""
    if one.smallest is None:
        return one.reason
    seen = f"the smallest change seen would be {''.join(_amount(one.metric, one.smallest))}"
    return "; ".join(filter(None, (one.reason, seen.replace("+", ""))))


def _amount(metric: str, figure: float) -> tuple[str, str]:
    """Return a change and its unit."""
    if metric == TOP1:
        return _rounded(figure, 2), " points"
    if metric in (OVERHEAD, LATENCY):
        return _rounded(100 * figure, 1), "%"
    return _share(100 * figure), "%"


def _percent(fraction: float) -> str:
    return f"{_rounded(100 * fraction, 1)}%"


def _share(percent: float) -> str:
    """Return a count's change in percent, nonzero even for one weight among millions."""
    if 0 < abs(percent) < 0.1:
        return f"{percent:+.1g}" if abs(percent) >= 0.0001 else f"{percent:+.0e}"
    return _rounded(percent, 0 if abs(percent) >= 100 else 1)


def _rounded(figure: float, digits: int) -> str:
    text = f"{figure:+,.{digits}f}"
    return text.lstrip("+-") if not float(text.replace(",", "")) else text
