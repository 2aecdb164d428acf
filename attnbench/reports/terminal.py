"""Documents and tables on a terminal: text wrapped at its width, aligned columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console
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
from attnbench.reports.table_view import TableView
from attnbench.reports.tables.verdict_marks import STATUSES
from attnbench.reports.terminal_table import (
    TextColumn,
    find_columns,
    print_table,
    print_wrapped,
    with_unique_names,
)
from attnbench.reports.verdict_words import color_verdicts, verdict_text
from attnbench.utils.escape import visible

if TYPE_CHECKING:
    from attnbench.reports.tables.report import Cell, Column, Report, Table

_GAP = re.compile(r" {2,}")
_INDENT = "  "
_LEAST = 40
"""Minimum width of wrapped text, in characters, even on a narrower terminal."""


def print_report(report: Report, console: Console, view: TableView | None = None) -> None:
    """Print all tables of a report with their notes and the footer.

    Raises:
        UnknownNameError: a name of the view's columns is of no table.
    """
    view = view or TableView()
    check_columns(report, view)
    columns = [column for table in report.tables for column in table.columns]
    settings = {head.setting for column in columns for head in column.heads}
    if report.title and report.title not in settings:
        print_wrapped(plain_text(report.title, "bold"), console)
    for number, table in enumerate(report.tables):
        if number:
            console.print()
        _print_table(table, report.title, console, view)
    for line in (*report.notes, *report.footer) if view.explain else report.brief:
        print_wrapped(plain_text(line, "dim"), console)


def check_columns(report: Report, view: TableView) -> None:
    """Check that each name of a view's columns is that of a column.

    Raises:
        UnknownNameError: a name is of no table.
    """
    if view.columns:
        columns = [column for table in report.tables for column in text_columns(table, view)]
        for name in view.columns:
            find_columns(columns, name)


def print_blocks(blocks: Iterable[Block], console: Console) -> None:
    """Print the blocks of a document."""
    width = max(console.width, _LEAST)
    for block in blocks:
        style = "bold" if isinstance(block, Heading) else ""
        is_verdict = isinstance(block, Heading | Lines)
        for line in block_lines(block, width):
            if not console.encoding.startswith("utf"):
                line = line.removeprefix("✓ ").removeprefix("✗ ")  # would be question marks
            text = color_verdicts(line, style) if is_verdict else plain_text(line)
            console.print(text, soft_wrap=True)


def plain_text(text: str, style: str = "") -> Text:
    """Return text for the console, with its control characters visible."""
    return Text(visible(text), style)


def text_columns(table: Table, view: TableView, *, marked: bool = False) -> list[TextColumn]:
    """Return the columns of a table as texts, verdicts ``marked`` or not."""
    heads = [
        (head, column.numeric, unit)
        for unit, column in enumerate(table.columns)
        for head in column.heads
    ]
    marks = _marks(table, view)
    rows = [list(_row_texts(row, table.columns, marks, marked=marked)) for row in table.rows]
    columns = [*zip(*rows, strict=True)] if rows else [()] * len(heads)
    return with_unique_names(
        TextColumn(
            head.head,
            cells,
            head.priority + _penalty(cells),
            numeric=numeric and not head.is_verdict,
            is_prose=head.is_verdict,
            key=head.key,
            name=head.name,
            unit=unit,
            common=head.common and ("" if view.explain else head.common),
        )
        for (head, numeric, unit), cells in zip(heads, columns, strict=True)
    )


def _penalty(cells: Sequence[Text]) -> int:
    """Return the number by which a column without any figure comes after the others."""
    texts = (cell.plain.partition(" [")[0] for cell in cells)
    return 0 if any(text.strip(" –") not in ("", *STATUSES) for text in texts) else 100


def _print_table(table: Table, title: str, console: Console, view: TableView) -> None:
    if table.title != title:
        print_wrapped(plain_text(table.title, "bold"), console)
    for line in _conditions(table):
        print_wrapped(plain_text(line), console)
    marked = console.encoding.startswith("utf")
    columns = text_columns(table, view, marked=marked)
    # another table of the report may have the other names
    names = [name for name in view.columns if any(column.is_named(name) for column in columns)]
    shown = print_table(columns, console, replace(view, columns=tuple(names)))
    texts = [cell.plain for column in shown for cell in column.cells]
    marks = _marks(table, view)
    notes = [
        f"[{marks[number]}] {note if view.explain else table.details.get(note, note)}"
        for number, note in enumerate(table.footnotes, start=1)
        if number in marks and (view.explain or any(f"[{marks[number]}]" in text for text in texts))
    ]
    for note in (*notes, *table.notes):
        print_wrapped(plain_text(note), console)


def _conditions(table: Table) -> Iterator[str]:
    """Yield the conditions of the groups of columns, each once."""
    groups = [(column.heads[0].setting, column.group) for column in table.columns]
    yield from (f"{setting}: {group}" for setting, group in dict.fromkeys(groups) if setting)


def _marks(table: Table, view: TableView) -> dict[int, int]:
    """Return the numbers on a terminal of the footnotes that it shows, by their own numbers."""
    numbers = {number for row in table.rows for cell in row for number in cell.notes}
    shown = [
        number
        for number, note in enumerate(table.footnotes, start=1)
        if number in numbers and (view.explain or table.details.get(note, note))
    ]
    return {number: place for place, number in enumerate(shown, start=1)}


def _row_texts(
    row: Sequence[Cell], columns: Sequence[Column], marks: Mapping[int, int], *, marked: bool
) -> Iterator[Text]:
    """Yield a row's texts; those of a cell across columns stand in the first ones."""
    start = 0
    for cell in row:
        heads = [head for column in columns[start : start + cell.span] for head in column.heads]
        texts = [*cell.texts, *[""] * len(heads)][: len(heads)]
        numbers = "".join(f" [{marks[number]}]" for number in cell.notes if number in marks)
        start += cell.span
        for place, (head, text) in enumerate(zip(heads, texts, strict=True)):
            is_verdict = head.is_verdict or text in STATUSES
            shown = verdict_text(text, marked=marked) if is_verdict else plain_text(text)
            if place == 0:
                shown.append(numbers)
                shown.stylize("bold" if cell.bold else "")
            yield shown


def block_lines(block: Block, width: int) -> Iterator[str]:
    """Yield a block's lines, at most ``width`` characters long except for lines to be copied."""
    match block:
        case Heading(text, level):
            yield from textwrap.wrap(text, width) if level <= 2 else ("", text)
        case Lines(lines, is_code):
            for line in lines:
                yield from [line] if is_code or len(line) <= width else _hanging(line, width)
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


def _hanging(line: str, width: int) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    return _wrapped(line.lstrip(), indent, f"{indent}{_INDENT}", width)


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
