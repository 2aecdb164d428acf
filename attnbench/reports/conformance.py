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
)
from attnbench.reports.document import Block, Folded, Grid, Heading, limit_rows, to_markdown
from attnbench.reports.table_view import TableView
from attnbench.reports.terminal import plain_text
from attnbench.reports.terminal_table import TextColumn, Trimmed, print_table, print_wrapped
from attnbench.utils.escape import EscapedText, markdown, markdown_code, visible

_STYLES = {BROKEN: "bold red", DECLARED: "yellow", NOTE: "cyan", SKIPPED: "dim", OK: "green"}
_COUNTED = (BROKEN, DECLARED, NOTE, SKIPPED)
_MOST_ROWS = 40
"""Maximum number of rows per module in Markdown: a comment holds 65,536 characters."""


def print_text(
    reports: Sequence[ConformanceReport],
    console: Console,
    view: TableView | None = None,
    *,
    verbose: bool = False,
) -> None:
    """Print one line per module with its problems below; for several modules, also a table."""
    name_width = max((len(report.name) for report in reports), default=0)
    for report in reports:
        print_wrapped(_head(report, name_width), console)
        _print_rows(_every(report) if verbose else map(_row, _groups(report)), console)
    if len(reports) > 1:
        print_table(_columns(reports), console, view)
        print_wrapped(plain_text(summary(reports)), console)


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
    return Text.assemble(
        visible(f"{report.name:<{name_width}}  "),
        (f"{report.verdict:<6}", _STYLES.get(report.verdict, "yellow")),
        f"  {counts(report)}, {report.seconds:.1f} s",
        plain_text("" if report.passed or not report.origin else f"  ({report.origin})", "dim"),
    )


def _print_rows(rows: Iterable[Row], console: Console) -> None:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=0)  # the padding is the indentation
    for _ in range(3):
        grid.add_column(overflow="fold")
    for status, check, lines in rows:
        texts = plain_text(check), plain_text("\n".join(lines))
        grid.add_row("", Text(status, _STYLES[status]), *texts)
    if grid.row_count:
        console.print(Trimmed(grid))


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
    if len(checks) == 1:
        return status, checks[0], _lines(reason, remedy)
    return status, f"{len(checks)} checks", [*_lines(reason, remedy), ", ".join(checks)]


def _every(report: ConformanceReport) -> Iterator[Row]:
    for finding in report.findings:
        title = CHECKS[finding.check].title if finding.check in CHECKS else ""
        lines = [title, *_lines(finding.reason, finding.remedy)]
        if finding.status == OK:
            text = finding.reason or (drift_text(report) if finding.check == "drift" else "")
            joint = " " if title.endswith(" by") else ": "
            lines = [f"{title}{joint}{text}" if text else title]
        yield finding.status, finding.check, lines


def _lines(reason: str, remedy: str) -> list[str]:
    return [reason, *([f"do: {remedy}"] if remedy else [])]


def _columns(reports: Sequence[ConformanceReport]) -> list[TextColumn]:
    rows = _statistics(reports)
    names = [plain_text(report.name, "" if report.passed else "bold red") for report in reports]
    heads = {head: tuple(Text(row[head]) for row in rows) for head in rows[0]}
    counted = [TextColumn(head, cells, 10, numeric=True) for head, cells in heads.items()]
    return [TextColumn("Module", tuple(names), 0), *counted]


def _overview(reports: Sequence[ConformanceReport]) -> Grid:
    statistics = _statistics(reports)
    ruler = f"| --- | --- |{' --: |' * len(statistics[0])}"
    rows = [
        [markdown_code(report.name), report.verdict, *row.values()]
        for report, row in zip(reports, statistics, strict=True)
    ]
    return Grid(f"| Module |  | {' | '.join(statistics[0])} |\n{ruler}", rows)


def _statistics(reports: Sequence[ConformanceReport]) -> list[dict[str, str]]:
    """Return each report's cells by head: findings by status and, if one is known, drifts."""
    is_known = any(report.drift is not None for report in reports)
    return [
        {status.capitalize(): str(len(report.with_status(status))) for status in _COUNTED}
        | ({"Drift": drift_text(report)} if is_known else {})
        for report in reports
    ]


def _details(report: ConformanceReport) -> Iterator[Block]:
    """Yield a table of the findings other than ok, folded unless the module is broken."""
    rows = [
        (status, EscapedText(", ".join(checks)), reason, remedy)
        for status, reason, remedy, checks in _groups(report)
    ]
    if not rows:
        return
    head = "| | Check | What was seen | What to do |\n|---|---|---|---|"
    blocks = limit_rows(Grid(head, rows), _MOST_ROWS, "attnbench check")
    if report.passed:
        title = f"<code>{escape(report.name)}</code>: {counts(report)}"
        yield Folded(title, tuple(blocks))
    else:
        title = f"{markdown_code(report.name)}: broken ({markdown(report.origin)})"
        yield Heading(EscapedText(title))
        yield from blocks
