"""Documents and tables on a terminal: text wrapped at its width, aligned columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from attnbench.reports.document import (
    Block,
    CodeBlock,
    Equations,
    Formula,
    Heading,
    Items,
    Lines,
    Rows,
)
from attnbench.utils.escape import visible

if TYPE_CHECKING:
    from attnbench.reports.tables.report import Cell, Report, Table

_GAP = re.compile(r" {2,}")
_INDENT = "  "
_LEAST = 40
"""Minimum width of wrapped text, in characters, even on a narrower terminal."""


def print_report(report: Report, console: Console) -> None:
    """Print all tables of a report with their notes and the footer."""
    if report.title:
        console.print(plain_text(report.title, "bold"))
    for table in report.tables:
        _print_table(table, console)
    for line in (*report.notes, *report.footer):
        console.print(plain_text(line, "dim"), soft_wrap=True)


def print_blocks(blocks: Iterable[Block], console: Console) -> None:
    """Print the blocks of a document."""
    width = max(console.width, _LEAST)
    for block in blocks:
        style = "bold" if isinstance(block, Heading) else ""
        for line in block_lines(block, width):
            console.print(plain_text(line, style), soft_wrap=True)


def to_text(blocks: Iterable[Block], width: int = 1000) -> str:
    """Return the blocks as plain lines."""
    return visible("".join(f"{line}\n" for block in blocks for line in block_lines(block, width)))


def plain_text(text: str, style: str = "") -> Text:
    """Return text for the console, with its control characters visible."""
    return Text(visible(text), style)


def simple_table(**options: Any) -> RichTable:
    """Return an empty table with a line below its head."""
    return RichTable(box=SIMPLE_HEAD, pad_edge=False, **options)


def _print_table(table: Table, console: Console) -> None:
    shown = simple_table(title=visible(table.title) or None, title_justify="left")
    rows = [[text for cell in row for text in _texts(cell)] for row in table.rows]
    before = ""
    for number, column in enumerate(table.columns):
        # a terminal has no heads across columns: the first column shows the group
        group = column.group if column.group != before else ""
        before = column.group
        words = [word for row in rows for word in row[number].plain.split()]
        shown.add_column(
            visible(f"{group} {column.full_head}".strip()),
            justify="right" if column.numeric else "left",
            min_width=max(map(len, words), default=0),  # a number is never broken in two
        )
    for row in rows:
        shown.add_row(*row)
    console.print(shown)
    notes = [f"[{number}] {note}" for number, note in enumerate(table.footnotes, start=1)]
    for note in (*notes, *table.notes):
        console.print(plain_text(note), soft_wrap=True)


def _texts(cell: Cell) -> list[Text]:
    """Return the cell's text, then empty texts for the other columns that it spans."""
    marks = "".join(f" [{number}]" for number in cell.notes)
    first = plain_text(f"{cell.plain}{marks}", "bold" if cell.bold else "")
    return [first, *[Text("")] * (cell.span - 1)]


def block_lines(block: Block, width: int) -> Iterator[str]:
    """Yield a block's lines, at most ``width`` characters long except for lines to be copied."""
    match block:
        case Heading(text, level):
            yield from textwrap.wrap(text, width) if level <= 2 else ("", text)
        case Lines(lines):
            yield from lines
        case Rows(rows):
            yield from _columns(rows, width)
        case Items(texts, head):
            if head:
                yield from _wrapped(head, _INDENT, _INDENT, width)
            for text in texts:
                yield from _wrapped(text, f"{_INDENT}- ", f"{_INDENT}  ", width)
        case Formula(text):
            yield from _formula(text, width)
        case Equations() | CodeBlock():
            copied = block.display() if isinstance(block, Equations) else block.text
            yield from ("", *textwrap.indent(copied, _INDENT).splitlines())


def _columns(rows: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    """Yield labels and texts side by side, or below each other if a column would be too narrow."""
    widest = max((len(label) for label, _ in rows), default=0)
    column = max(widest, 10) + 2
    fits = width - len(_INDENT) - column >= _LEAST // 2
    for label, text in rows:
        hanging = _INDENT + " " * (column if fits else 4)
        if not fits and label:
            yield _INDENT + label
        first = f"{_INDENT}{label:<{column}}" if fits else hanging
        yield from _wrapped(text, first, hanging, width)


def _formula(text: str, width: int) -> Iterator[str]:
    """Yield lines with a gap as two columns, other lines across both."""
    lines = [_GAP.split(line.strip(), maxsplit=1) for line in text.splitlines()]
    for pairs, group in groupby(lines, key=lambda parts: len(parts) == 2):
        if pairs:
            yield from _columns([(left, right) for left, right in group], width)
        else:
            prose = " ".join(line for (line,) in group)
            yield from _wrapped(prose, _INDENT, _INDENT, width)


def _wrapped(text: str, first: str, hanging: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
