"""A comparison as text for a terminal, and as Markdown for a pull request's comment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from attnbench.regression.compare.comparison import MetricChange, RunComparison
from attnbench.regression.compare.number_format import change, summary, value, why
from attnbench.utils.escape import markdown

_HEADS = {
    "regressions": "Regressions",
    "missing": "Missing",
    "improvements": "Improvements",
    "inconclusive": "Inconclusive",
    "incomparable": "Incomparable",
    "added": "Added",
}
"""Section heads in the order shown; unchanged metrics are only counted."""
_OPEN = ("regressions", "missing", "improvements")
_LISTED = 3
_MOST_ROWS = 60
"""Maximum rows of a section in Markdown: a comment holds 65,536 characters."""


def as_text(comparison: RunComparison) -> str:
    """Return a comparison as lines for a terminal, the summary first."""
    lines = [summary(comparison), *comparison.notes]
    for verdict, head in _HEADS.items():
        changes: Sequence[MetricChange] = getattr(comparison, verdict)
        if changes:
            lines += ["", head]
            by_reason = verdict in ("incomparable", "added", "missing")
            lines += _by_reason(changes) if by_reason else _by_case(changes)
    lines += _text_commands(comparison)
    return "\n".join(lines) + "\n"


def as_markdown(comparison: RunComparison) -> str:
    """Return a comparison in GitHub's Markdown, the summary first, long lists folded."""
    blocks = [f"**attnbench: {summary(comparison)}**"]
    blocks += [f"- {markdown(note)}" for note in comparison.notes]
    for verdict, head in _HEADS.items():
        changes: Sequence[MetricChange] = getattr(comparison, verdict)
        if changes:
            table = _table(changes)
            blocks.append(f"#### {head}\n\n{table}" if verdict in _OPEN else _folded(head, table))
    if commands := commands_of(comparison):
        accepting = "\n".join(["Accept what is meant to be so:", "", "```sh", *commands, "```"])
        blocks.append(accepting)
    return "\n\n".join(blocks) + "\n"


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
    figures = f"{value(entry.metric, entry.base)} -> {value(entry.metric, entry.new)}"
    moved = f"change {change(entry)}" if change(entry) else ""
    reason = f"({why(entry)})" if why(entry) else ""
    return "  ".join(filter(None, (figures, moved, reason)))


def _by_reason(changes: Iterable[MetricChange]) -> Iterator[str]:
    """Yield the cases grouped by metric and reason: one reason often holds for a hundred."""
    groups: dict[tuple[str, str], list[str]] = {}
    for entry in changes:
        groups.setdefault((entry.metric, why(entry) or _ended(entry)), []).append(entry.case)
    for (metric, reason), cases in groups.items():
        yield f"  {metric}: {reason}"
        yield from (f"    {case}" for case in cases[:_LISTED])
        if len(cases) > _LISTED:
            yield f"    and {len(cases) - _LISTED} more"


def _ended(entry: MetricChange) -> str:
    return f"{value(entry.metric, entry.base)} -> {value(entry.metric, entry.new)}"


def _text_commands(comparison: RunComparison) -> list[str]:
    commands = commands_of(comparison)
    return (
        ["", "Accept what is meant to be so:", *(f"  {command}" for command in commands)]
        if commands
        else []
    )


def _table(changes: Sequence[MetricChange]) -> str:
    rows = [_row(entry) for entry in changes[:_MOST_ROWS]]
    head = "| Case | Metric | Base | New | Change (95%) | Why |\n|---|---|--:|--:|--:|---|"
    left = len(changes) - _MOST_ROWS
    more = [f"\nand {left} more; `attnbench compare` lists them all"] if left > 0 else []
    return "\n".join([head, *rows, *more])


def _row(entry: MetricChange) -> str:
    figures = (
        value(entry.metric, entry.base),
        value(entry.metric, entry.new),
        change(entry),
        why(entry),
    )
    cells = [f"`{entry.case}`", entry.metric, *map(markdown, figures)]
    return f"| {' | '.join(cells)} |"


def _folded(head: str, table: str) -> str:
    return f"<details><summary>{head}</summary>\n\n{table}\n\n</details>"
