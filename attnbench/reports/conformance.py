"""Conformance reports as text for a terminal, and as Markdown for a pull request comment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from rich.console import Console
from rich.table import Table
from rich.text import Text

from attnbench.conformance.checks import CHECKS
from attnbench.conformance.findings import (
    BROKEN,
    DECLARED,
    NOTE,
    OK,
    SKIPPED,
    STATUSES,
    ConformanceReport,
    Finding,
)
from attnbench.reports.document import Block, Folded, Grid, Heading, code, limited
from attnbench.reports.markdown import to_markdown
from attnbench.reports.terminal import simple_table
from attnbench.utils.escape import EscapedText, markdown

_STYLES = {BROKEN: "bold red", DECLARED: "yellow", NOTE: "cyan", SKIPPED: "dim", OK: "green"}
_COUNTED = (BROKEN, DECLARED, NOTE, SKIPPED)
_MOST_ROWS = 40
"""Maximum number of rows per module in Markdown: a comment holds 65,536 characters."""


def print_text(
    reports: Sequence[ConformanceReport], console: Console, *, verbose: bool = False
) -> None:
    """Print one line per module with its problems below; for several modules, also a table."""
    name_width = max((len(report.name) for report in reports), default=0)
    for report in reports:
        console.print(_head(report, name_width), soft_wrap=True)
        _print_rows(_every(report) if verbose else map(_row, _groups(report)), console)
    if len(reports) > 1:
        console.print(_table(reports))
        console.print(Text(summary(reports)), soft_wrap=True)


def as_markdown(reports: Sequence[ConformanceReport]) -> str:
    """Return reports in GitHub Markdown: broken modules expanded, all others folded."""
    blocks: list[Block] = [Heading(f"attnbench check: {summary(reports)}", 0)]
    if len(reports) > 1:
        blocks.append(_overview(reports))
    for report in sorted(reports, key=lambda report: report.passed):
        blocks += _details(report)
    return to_markdown(blocks)


def summary(reports: Sequence[ConformanceReport]) -> str:
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


def counts(report: ConformanceReport) -> str:
    """Return the number of checks and of findings by status: ``22 checks, 2 notes``."""
    checks = len({finding.check for finding in report.findings})
    parts = [f"{checks} {'check' if checks == 1 else 'checks'}"]
    for status in _COUNTED:
        number = len(report.with_status(status))
        if number:
            parts.append(f"{number} {status}{'s' * (status == NOTE and number > 1)}")
    return ", ".join(parts)


def drift_text(report: ConformanceReport) -> str:
    """Return the drift of the untrained module in percent; empty where it is unknown."""
    return "" if report.drift is None else f"{report.drift:.1%}"


Row = tuple[str, str, list[str]]
"""Status, check, lines of text."""


def _head(report: ConformanceReport, name_width: int) -> Text:
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


Group = tuple[str, str, str, Sequence[str]]
"""Status, reason and remedy that one or several checks have in common, and these checks."""


def _groups(report: ConformanceReport) -> list[Group]:
    """Return the findings other than ok, grouped by text, most severe status first."""
    groups: dict[tuple[str, str, str], dict[str, None]] = {}
    for finding in sorted(report.findings, key=lambda finding: STATUSES.index(finding.status)):
        if finding.status != OK:
            key = finding.status, finding.reason, finding.remedy
            groups.setdefault(key, {})[finding.check] = None
    return [(*key, tuple(checks)) for key, checks in groups.items()]


def _row(group: Group) -> Row:
    status, reason, remedy, checks = group
    lines = _lines(reason, remedy)
    if len(checks) == 1:
        return status, checks[0], lines
    return status, f"{len(checks)} checks", [*lines, ", ".join(checks)]


def _every(report: ConformanceReport) -> Iterator[Row]:
    """Yield a row for every finding, in the order of the checks, with the title of its check."""
    for finding in report.findings:
        title = CHECKS[finding.check].title if finding.check in CHECKS else ""
        if finding.status == OK:
            yield finding.status, finding.check, [_sentence(title, finding, report)]
        else:
            yield finding.status, finding.check, [title, *_lines(finding.reason, finding.remedy)]


def _sentence(title: str, found: Finding, report: ConformanceReport) -> str:
    text = found.reason or (drift_text(report) if found.check == "drift" else "")
    joint = " " if title.endswith(" by") else ": "
    return f"{title}{joint}{text}" if text else title


def _lines(reason: str, remedy: str) -> list[str]:
    return [reason, *([f"do: {remedy}"] if remedy else [])]


def _table(reports: Sequence[ConformanceReport]) -> Table:
    heads, rows = _statistics(reports)
    table = simple_table()
    table.add_column("Module", overflow="fold")
    for head in heads:
        table.add_column(head, justify="right")
    for report, row in zip(reports, rows, strict=True):
        table.add_row(Text(report.name, "" if report.passed else "bold red"), *map(Text, row))
    return table


def _overview(reports: Sequence[ConformanceReport]) -> Grid:
    heads, rows = _statistics(reports)
    ruler = f"| --- | --- |{' --: |' * len(heads)}"
    named = [
        [code(report.name), report.verdict, *row] for report, row in zip(reports, rows, strict=True)
    ]
    return Grid(f"| Module |  | {' | '.join(heads)} |\n{ruler}", named)


def _statistics(reports: Sequence[ConformanceReport]) -> tuple[list[str], list[list[str]]]:
    """Return heads, and cells of each report: findings by status and, if one is known, drifts."""
    heads = [status.capitalize() for status in _COUNTED]
    rows = [[str(len(report.with_status(status))) for status in _COUNTED] for report in reports]
    drifts = list(map(drift_text, reports))
    if any(drifts):
        return [*heads, "Drift"], [[*row, drift] for row, drift in zip(rows, drifts, strict=True)]
    return heads, rows


def _details(report: ConformanceReport) -> Iterator[Block]:
    """Yield a table of the findings other than ok, folded unless the module is broken."""
    rows = [
        (status, EscapedText(", ".join(checks)), reason, remedy)
        for status, reason, remedy, checks in _groups(report)
    ]
    if not rows:
        return
    head = "| | Check | What was seen | What to do |\n|---|---|---|---|"
    blocks = limited(Grid(head, rows), _MOST_ROWS, "attnbench check")
    if report.passed:
        title = f"<code>{escape(report.name)}</code>: {counts(report)}"
        yield Folded(title, tuple(blocks))
    else:
        title = f"{code(report.name)}: broken ({markdown(report.origin)})"
        yield Heading(EscapedText(title))
        yield from blocks
