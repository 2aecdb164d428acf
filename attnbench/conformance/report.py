"""Conformance reports as text for a terminal, and as Markdown for a pull request comment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from attnbench.conformance.checks import CHECKS
from attnbench.conformance.findings import BROKEN, DECLARED, NOTE, OK, SKIPPED, STATUSES, Finding
from attnbench.conformance.findings import ConformanceReport as Found
from attnbench.utils.escape import markdown

_STYLES = {BROKEN: "bold red", DECLARED: "yellow", NOTE: "cyan", SKIPPED: "dim", OK: "green"}
_COUNTED = (BROKEN, DECLARED, NOTE, SKIPPED)
_PLURAL = {NOTE: "notes"}
_MOST_ROWS = 40
"""Maximum number of rows per module in Markdown: a comment holds 65,536 characters."""


def print_text(reports: Sequence[Found], console: Console, *, verbose: bool = False) -> None:
    """Print one line per module with its problems below; for several modules, also a table."""
    name_width = max((len(report.name) for report in reports), default=0)
    for report in reports:
        console.print(_head(report, name_width), soft_wrap=True)
        _print_rows(_every(report) if verbose else map(_row, _groups(report)), console)
    if len(reports) > 1:
        console.print(_table(reports))
        console.print(Text(summary(reports)), soft_wrap=True)


def as_markdown(reports: Sequence[Found]) -> str:
    """Return reports in GitHub Markdown: broken modules expanded, all others folded."""
    blocks = [f"**attnbench check: {markdown(summary(reports))}**"]
    if len(reports) > 1:
        blocks.append(_markdown_table(reports))
    for report in sorted(reports, key=lambda report: report.passed):
        rows = [_markdown_row(group) for group in _groups(report)]
        if rows:
            blocks.append(_markdown_block(report, rows))
    return "\n\n".join(blocks) + "\n"


def summary(reports: Sequence[Found]) -> str:
    """Return one sentence that summarizes all modules."""
    if not reports:
        return "no module was examined"
    if len(reports) == 1:
        return f"{reports[0].name} {reports[0].verdict}, {counts(reports[0])}"
    parts = [f"{len(reports)} modules"]
    for verdict in ("broken", "unfinished"):
        names = [report.name for report in reports if report.verdict == verdict]
        parts += [f"{len(names)} {verdict}: {', '.join(names)}"] if names else []
    return "; ".join(parts) if len(parts) > 1 else f"{parts[0]}, all ok"


def counts(report: Found) -> str:
    """Return the number of checks and of findings by status: ``22 checks, 2 notes``."""
    checks = len({finding.check for finding in report.findings})
    parts = [f"{checks} {'check' if checks == 1 else 'checks'}"]
    for status in _COUNTED:
        number = len(report.with_status(status))
        if number:
            word = _PLURAL.get(status, status) if number > 1 else status
            parts.append(f"{number} {word}")
    return ", ".join(parts)


def drift_text(report: Found) -> str:
    """Return the drift of the untrained module in percent; empty where it is unknown."""
    return "" if report.drift is None else f"{report.drift:.1%}"


Row = tuple[str, str, list[str]]
"""Status, check, lines of text."""


def _head(report: Found, name_width: int) -> Text:
    head = Text(f"{report.name:<{name_width}}  ")
    head.append(f"{report.verdict:<6}", _STYLES.get(report.verdict, "yellow"))
    head.append(f"  {counts(report)}, {report.seconds:.1f} s")
    if not report.passed and report.origin:
        head.append(f"  ({report.origin})", "dim")
    return head


def _print_rows(rows: Iterable[Row], console: Console) -> None:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=0)  # the padding is the indentation
    for _ in range(3):
        grid.add_column(overflow="fold")
    for status, check, lines in rows:
        grid.add_row("", Text(status, _STYLES[status]), Text(check), Text("\n".join(lines)))
    if grid.row_count:
        console.print(grid)


@dataclass(frozen=True)
class _Group:
    """Finding that one or several checks have in common."""

    status: str
    reason: str
    remedy: str
    checks: Sequence[str]


def _groups(report: Found) -> list[_Group]:
    """Return the findings other than ok, grouped by text, most severe status first."""
    groups: dict[tuple[str, str, str], dict[str, None]] = {}
    for finding in sorted(report.findings, key=lambda finding: STATUSES.index(finding.status)):
        if finding.status != OK:
            groups.setdefault((finding.status, finding.reason, finding.remedy), {})[
                finding.check
            ] = None
    return [_Group(*key, tuple(checks)) for key, checks in groups.items()]


def _row(group: _Group) -> Row:
    lines = _lines(group.reason, group.remedy)
    if len(group.checks) == 1:
        return group.status, group.checks[0], lines
    return group.status, f"{len(group.checks)} checks", [*lines, ", ".join(group.checks)]


def _every(report: Found) -> Iterator[Row]:
    """Yield a row for every finding, in the order of the checks, with the title of its check."""
    for finding in report.findings:
        title = CHECKS[finding.check].title if finding.check in CHECKS else ""
        if finding.status == OK:
            yield finding.status, finding.check, [_sentence(title, finding, report)]
        else:
            yield finding.status, finding.check, [title, *_lines(finding.reason, finding.remedy)]


def _sentence(title: str, found: Finding, report: Found) -> str:
    text = found.reason or (drift_text(report) if found.check == "drift" else "")
    joint = " " if title.endswith(" by") else ": "
    return f"{title}{joint}{text}" if text else title


def _lines(reason: str, remedy: str) -> list[str]:
    return [reason, *([f"do: {remedy}"] if remedy else [])]


def _table(reports: Sequence[Found]) -> Table:
    drifts = any(drift_text(report) for report in reports)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("Module", overflow="fold")
    for head in _heads(drifts):
        table.add_column(head, justify="right")
    for report in reports:
        bad = "bold red" if not report.passed else ""
        table.add_row(Text(report.name, bad), *map(Text, _cells(report, drifts)))
    return table


def _heads(drifts: bool) -> list[str]:
    return [*(status.capitalize() for status in _COUNTED), *(["Drift"] if drifts else [])]


def _cells(report: Found, drifts: bool) -> list[str]:
    numbers = [str(len(report.with_status(status))) for status in _COUNTED]
    return [*numbers, *([drift_text(report)] if drifts else [])]


def _markdown_table(reports: Sequence[Found]) -> str:
    drifts = any(drift_text(report) for report in reports)
    heads = ["Module", "", *_heads(drifts)]
    ruler = ["---", "---", *["--:"] * (len(heads) - 2)]
    rows = [[f"`{report.name}`", report.verdict, *_cells(report, drifts)] for report in reports]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ruler, *rows))


def _markdown_block(report: Found, rows: Sequence[str]) -> str:
    head = "| | Check | What was seen | What to do |\n|---|---|---|---|"
    left = len(rows) - _MOST_ROWS
    more = [f"\nand {left} more; `attnbench check` lists them all"] if left > 0 else []
    table = "\n".join([head, *rows[:_MOST_ROWS], *more])
    if not report.passed:
        return f"#### `{report.name}`: broken ({markdown(report.origin)})\n\n{table}"
    title = f"<code>{escape(report.name)}</code>: {counts(report)}"
    return f"<details><summary>{title}</summary>\n\n{table}\n\n</details>"


def _markdown_row(group: _Group) -> str:
    cells = [group.status, ", ".join(group.checks), markdown(group.reason), markdown(group.remedy)]
    return f"| {' | '.join(cells)} |"
