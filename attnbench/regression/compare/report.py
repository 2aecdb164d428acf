"""A comparison as text for a terminal, and as Markdown for a pull request's comment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from attnbench.regression.compare.comparison import MetricChange, RunComparison
from attnbench.regression.compare.number_format import change, summary, value, why
from attnbench.reports.document import (
    Block,
    CodeBlock,
    Folded,
    Grid,
    Heading,
    Items,
    Lines,
    code,
    limited,
)
from attnbench.utils.escape import EscapedText

_HEADS = {
    "regressions": "Regressions",
    "missing": "Missing",
    "improvements": "Improvements",
    "inconclusive": "Inconclusive",
    "incomparable": "Incomparable",
    "added": "Added",
}
"""Section heads in the order shown; unchanged metrics are only counted."""
_ACCEPT = "Accept what is meant to be so:"
_TABLE = "| Case | Metric | Base | New | Change (95%) | Why |\n|---|---|--:|--:|--:|---|"
_OPEN = ("regressions", "missing", "improvements")
_LISTED = 3
_MOST_ROWS = 60
"""Maximum rows of a section in Markdown: a comment holds 65,536 characters."""


def text_blocks(comparison: RunComparison) -> Iterator[Block]:
    """Yield a comparison as blocks for a terminal, the summary first."""
    yield Lines([summary(comparison), *comparison.notes])
    for verdict, head in _HEADS.items():
        changes: Sequence[MetricChange] = getattr(comparison, verdict)
        if changes:
            by_reason = verdict in ("incomparable", "added", "missing")
            yield Heading(head)
            yield Lines(list(_by_reason(changes) if by_reason else _by_case(changes)))
    if commands := commands_of(comparison):
        yield Heading(_ACCEPT)
        yield Lines([f"  {command}" for command in commands])


def markdown_blocks(comparison: RunComparison) -> Iterator[Block]:
    """Yield a comparison as blocks for Markdown, the summary first, long lists folded."""
    yield Heading(f"attnbench: {summary(comparison)}", 0)
    yield from (Items((note,)) for note in comparison.notes)
    for verdict, head in _HEADS.items():
        changes: Sequence[MetricChange] = getattr(comparison, verdict)
        if changes:
            rows = [_row(entry) for entry in changes]
            table = limited(Grid(_TABLE, rows), _MOST_ROWS, "attnbench compare")
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
    return code(entry.case), EscapedText(entry.metric), *figures, change(entry), why(entry)
