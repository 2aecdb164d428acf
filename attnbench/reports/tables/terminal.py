"""Output of a report on a terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from attnbench.reports.tables.report import Cell, Report, Table


def print_text(report: Report, console: Console) -> None:
    """Print all tables of a report with their notes and the footer."""
    if report.title:
        console.print(Text(report.title, style="bold"))
    for table in report.tables:
        _print_table(table, console)
    for line in (*report.notes, *report.footer):
        console.print(Text(line, style="dim"), soft_wrap=True)


def _print_table(table: Table, console: Console) -> None:
    shown = RichTable(
        title=table.title or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False
    )
    rows = [[text for cell in row for text in _texts(cell)] for row in table.rows]
    before = ""
    for number, column in enumerate(table.columns):
        # a terminal has no heads across columns: the first column shows the group
        group = column.group if column.group != before else ""
        before = column.group
        head = f"{group} {column.full_head}".strip()
        words = [word for row in rows for word in row[number].plain.split()]
        shown.add_column(
            head,
            justify="right" if column.numeric else "left",
            min_width=max(map(len, words), default=0),  # a number is never broken in two
        )
    for row in rows:
        shown.add_row(*row)
    console.print(shown)
    for number, note in enumerate(table.footnotes, start=1):
        console.print(Text(f"[{number}] {note}"), soft_wrap=True)
    for note in table.notes:
        console.print(Text(note), soft_wrap=True)


def _texts(cell: Cell) -> list[Text]:
    """Return the cell's text, then empty texts for the other columns that it spans."""
    marks = "".join(f" [{number}]" for number in cell.notes)
    first = Text(f"{cell.plain}{marks}", style="bold" if cell.bold else "")
    return [first, *[Text("")] * (cell.span - 1)]
