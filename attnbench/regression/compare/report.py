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
"""In the order in which they are shown; what is unchanged is only counted."""
_OPEN = ("regressions", "missing", "improvements")
_LISTED = 3
_MOST_ROWS = 60
"""Of a section in Markdown: a comment holds 65,536 characters."""


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
    cases = [one.case for one in (*comparison.regressions, *comparison.missing)]
    if not comparison.base:
        return []
    return [comparison.accept_command(case) for case in dict.fromkeys(cases)]


def _by_case(changes: Iterable[MetricChange]) -> Iterator[str]:
    groups: dict[str, list[MetricChange]] = {}
    for one in changes:
        groups.setdefault(one.case, []).append(one)
    wide = max(len(one.metric) for group in groups.values() for one in group)
    for case, group in groups.items():
        yield f"  {case}"
        for one in group:
            yield f"    {one.metric:<{wide}}  {_line(one)}"


def _line(one: MetricChange) -> str:
    figures = f"{value(one.metric, one.base)} -> {value(one.metric, one.new)}"
    moved = f"change {change(one)}" if change(one) else ""
    told = f"({why(one)})" if why(one) else ""
    return "  ".join(filter(None, (figures, moved, told)))


def _by_reason(changes: Iterable[MetricChange]) -> Iterator[str]:
    """One reason often holds for a hundred cases."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in changes:
        groups.setdefault((one.metric, why(one) or _ended(one)), []).append(one.case)
    for (metric, reason), cases in groups.items():
        yield f"  {metric}: {reason}"
        yield from (f"    {case}" for case in cases[:_LISTED])
        if len(cases) > _LISTED:
            yield f"    and {len(cases) - _LISTED} more"


def _ended(one: MetricChange) -> str:
    return f"{value(one.metric, one.base)} -> {value(one.metric, one.new)}"


def _text_commands(comparison: RunComparison) -> list[str]:
    commands = commands_of(comparison)
    return (
        ["", "Accept what is meant to be so:", *(f"  {one}" for one in commands)]
        if commands
        else []
    )


def _table(changes: Sequence[MetricChange]) -> str:
    rows = [_row(one) for one in changes[:_MOST_ROWS]]
    head = "| Case | Metric | Base | New | Change (95%) | Why |\n|---|---|--:|--:|--:|---|"
    left = len(changes) - _MOST_ROWS
    more = [f"\nand {left} more; `attnbench compare` lists them all"] if left > 0 else []
    return "\n".join([head, *rows, *more])


def _row(one: MetricChange) -> str:
    figures = (value(one.metric, one.base), value(one.metric, one.new), change(one), why(one))
    cells = [f"`{one.case}`", one.metric, *map(markdown, figures)]
    return f"| {' | '.join(cells)} |"


def _folded(head: str, table: str) -> str:
    return f"<details><summary>{head}</summary>\n\n{table}\n\n</details>"
