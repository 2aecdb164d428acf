"""A comparison as text for a terminal, and as Markdown for a pull request's comment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from attnbench.regression.compare.comparison import VERDICTS, MetricChange, RunComparison, Value
from attnbench.regression.compare.gates import LATENCY, OVERHEAD, TOP1
from attnbench.reports.document import (
    Block,
    CodeBlock,
    Folded,
    Grid,
    Heading,
    Items,
    Lines,
    limit_rows,
)
from attnbench.utils.escape import EscapedText, markdown_code

_HEADS = {
    "regressions": "Regressions",
    "missing": "Missing",
    "improvements": "Improvements",
    "inconclusive": "Inconclusive",
    "incomparable": "Incomparable",
    "added": "Added",
}
"""Section heads in the order shown; unchanged metrics are only counted."""
_ONE = {"regressions": "regression", "improvements": "improvement"}
_ACCEPT = "Accept what is meant to be so:"
_TABLE = "| Case | Metric | Base | New | Change (95%) | Why |\n|---|---|--:|--:|--:|---|"
_OPEN = ("regressions", "missing", "improvements")
_LISTED = 3
_MOST_ROWS = 60
"""Maximum rows of a section in Markdown: a comment holds 65,536 characters."""


def text_blocks(comparison: RunComparison, *, failed: bool = False) -> Iterator[Block]:
    """Yield a comparison as blocks for a terminal, the summary with its verdict first."""
    verdict = "✗ failed" if failed else "✓ passed"
    yield Lines([f"{verdict}: {summary(comparison)}", *comparison.notes])
    for verdict, head in _HEADS.items():
        changes: Sequence[MetricChange] = getattr(comparison, verdict)
        if changes:
            by_reason = verdict in ("incomparable", "added", "missing")
            yield Heading(head)
            yield Lines(list(_by_reason(changes) if by_reason else _by_case(changes)))
    if commands := commands_of(comparison):
        yield Heading(_ACCEPT)
        yield Lines([f"  {command}" for command in commands], is_code=True)


def markdown_blocks(comparison: RunComparison) -> Iterator[Block]:
    """Yield a comparison as blocks for Markdown, the summary first, long lists folded."""
    yield Heading(f"attnbench: {summary(comparison)}", 0)
    yield from (Items((note,)) for note in comparison.notes)
    for verdict, head in _HEADS.items():
        changes: Sequence[MetricChange] = getattr(comparison, verdict)
        if changes:
            rows = [_row(entry) for entry in changes]
            table = limit_rows(Grid(_TABLE, rows), _MOST_ROWS, "attnbench compare")
            yield from (Heading(head), *table) if verdict in _OPEN else [Folded(head, (*table,))]
    if commands := commands_of(comparison):
        yield Items((), _ACCEPT)
        yield CodeBlock("\n".join(commands), "sh")


def commands_of(comparison: RunComparison) -> list[str]:
    """Return the commands that accept the regressions and missing cases, one for each case."""
    cases = [entry.case for entry in (*comparison.regressions, *comparison.missing)]
    if not comparison.base:
        return []
    return [comparison.accept_command(case) for case in dict.fromkeys(cases)]


def _by_case(changes: Iterable[MetricChange]) -> Iterator[str]:
    groups: dict[str, list[MetricChange]] = {}
    for entry in changes:
        groups.setdefault(entry.case, []).append(entry)
    wide = max(len(entry.metric) for group in groups.values() for entry in group)
    for case, group in groups.items():
        yield f"  {case}"
        for entry in group:
            yield f"    {entry.metric:<{wide}}  {_line(entry)}"


def _line(entry: MetricChange) -> str:
    moved = f"change {change(entry)}" if change(entry) else ""
    reason = f"({why(entry)})" if why(entry) else ""
    return "  ".join(filter(None, (_figures(entry), moved, reason)))


def _by_reason(changes: Iterable[MetricChange]) -> Iterator[str]:
    """Yield the cases grouped by metric and reason: one reason often holds for a hundred."""
    groups: dict[tuple[str, str], list[str]] = {}
    for entry in changes:
        groups.setdefault((entry.metric, why(entry) or _figures(entry)), []).append(entry.case)
    for (metric, reason), cases in groups.items():
        yield f"  {metric}: {reason}"
        yield from (f"    {case}" for case in cases[:_LISTED])
        if len(cases) > _LISTED:
            yield f"    and {len(cases) - _LISTED} more"


def _figures(entry: MetricChange) -> str:
    return f"{value(entry.metric, entry.base)} -> {value(entry.metric, entry.new)}"


def _row(entry: MetricChange) -> tuple[str, ...]:
    figures = (value(entry.metric, figure) for figure in (entry.base, entry.new))
    return markdown_code(entry.case), EscapedText(entry.metric), *figures, change(entry), why(entry)


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
        return f"{figure:.3g}x" if figure >= 2 else f"{_rounded(100 * (figure - 1), 1)}%"
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


def _share(percent: float) -> str:
    """Return a count's change in percent, nonzero even for one weight among millions."""
    if 0 < abs(percent) < 0.1:
        return f"{percent:+.1g}" if abs(percent) >= 0.0001 else f"{percent:+.0e}"
    return _rounded(percent, 0 if abs(percent) >= 100 else 1)


def _rounded(figure: float, digits: int) -> str:
    text = f"{figure:+,.{digits}f}"
    return text.lstrip("+-") if not float(text.replace(",", "")) else text
