"""Tables on a terminal: columns that fit, those left out by name, or a block for each row."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, takewhile, zip_longest
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table as RichTable
from rich.text import Text

from attnbench.errors import unknown
from attnbench.reports.table_view import TableView
from attnbench.utils.escape import visible

_GAP = 2
_WHOLE: dict[str, Any] = {"break_long_words": False}
_PROSE = 27
"""Minimum width of a column of prose."""


@dataclass(frozen=True, eq=False)
class TextColumn:
    """A column of texts."""

    head: str
    cells: tuple[Text, ...]
    priority: int = 50
    """Columns of higher numbers are the first to be left out; 0 for those that never are."""
    numeric: bool = False
    is_prose: bool = False
    """Whether the texts may be broken into lines at words."""
    key: str = ""
    name: str = ""
    unit: int | None = None
    """Number of the estimate that the column belongs to: it is not shown without its verdict."""
    common: str | None = None
    """Sentence in place of a column of one value, "" for head and value; None keeps it."""

    @property
    def slug(self) -> str:
        """Return the name for ``--columns``."""
        return (self.name or self.head).lower().replace(" ", "-")

    def is_named(self, name: str) -> bool:
        """Return whether a name for ``--columns`` is this column's, or that of its kind."""
        return name in (self.slug, self.key)

    @property
    def natural(self) -> int:
        """Return the width in which no text is broken."""
        return max(cell_len(line) for text in self._texts() for line in text.split("\n"))

    @property
    def least(self) -> int:
        """Return the minimum width: of prose that of some words."""
        if not self.is_prose:
            return self.natural
        words = (word for text in self._texts() for word in text.split())
        return min(self.natural, max(_PROSE, *map(cell_len, words)))

    def _texts(self) -> Iterator[str]:
        yield max(self.head.split(), key=cell_len, default="")
        yield from (cell.plain for cell in self.cells)

    @property
    def value(self) -> Text | None:
        """Return the only text of all rows, except those without any; None if there are several."""
        filled = {cell.plain: cell for cell in self.cells if cell.plain.strip(" –")}
        return next(iter(filled.values())) if len(filled) == 1 else None


class Trimmed:
    """A renderable without blanks at the ends of its lines, of any width."""

    def __init__(self, content: Any, width: int | None = None) -> None:
        self._content, self._width = content, width

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines of the content."""
        wider = options.update(width=self._width or options.max_width)
        for line in console.render_lines(self._content, wider, pad=False):
            yield from _trimmed(line)
            yield Segment.line()


def _trimmed(line: Sequence[Segment]) -> list[Segment]:
    kept = list(line)
    while kept and not kept[-1].text.strip(" "):
        kept.pop()
    if kept:
        kept[-1] = kept[-1]._replace(text=kept[-1].text.rstrip(" "))
    return kept


def print_table(
    columns: Sequence[TextColumn], console: Console, view: TableView | None = None
) -> list[TextColumn]:
    """Print a table, the first columns of which name its rows, within the console's width.

    Return the columns that are not left out.
    """
    view = view or TableView()
    below = []
    said: list[tuple[TextColumn, Text]] = []
    if view.columns:
        columns = chosen_columns(columns, view.columns)
    else:
        columns, said = hoist(columns)
        above = [text for column, text in said if not column.common]
        below = [text for column, text in said if column.common]
        if above:
            print_wrapped(Text("; ").join(above), console)
    width = console.width if not view.wide else sum(column.natural + _GAP for column in columns)
    shown = list(columns) if view.columns else fitting(columns, width)
    if len(columns) > 1 and _is_stacked(shown, width):
        _print_blocks(columns, console)
        shown = list(columns)
    else:
        taken = sum(column.least + _GAP for column in shown) - _GAP
        console.print(_Grid(shown, width - taken), soft_wrap=True)
        if left := [column.slug for column in columns if column not in shown]:
            named = f"not shown at {width} columns: {', '.join(left)} (--wide, --columns)"
            print_wrapped(Text(named, "dim"), console)
    for text in below:
        print_wrapped(text, console)
    return [*shown, *(column for column, _ in said)]


def chosen_columns(columns: Sequence[TextColumn], names: Iterable[str]) -> list[TextColumn]:
    """Return the columns that tell the rows apart, and the named ones in their order."""
    names_of_rows = takewhile(lambda column: not (column.numeric or column.priority), columns)
    found = [column for column in names_of_rows if column.value is None] or [columns[0]]
    for name in names:
        found += [column for column in find_columns(columns, name) if column not in found]
    return found


def find_columns(columns: Sequence[TextColumn], name: str) -> list[TextColumn]:
    """Return the columns of a name, several for the columns of several runtimes.

    Raises:
        UnknownNameError: there is none.
    """
    found = [column for column in columns if column.is_named(name)]
    if not found:
        raise unknown("--columns", name, dict.fromkeys(column.slug for column in columns))
    return found


def hoist(columns: Sequence[TextColumn]) -> tuple[list[TextColumn], list[tuple[TextColumn, Text]]]:
    """Return the columns with several values, and a sentence for each of one value."""
    kept, said = [], []
    for column in columns:
        if not any(cell.plain for cell in column.cells):
            continue
        value = column.value if column.common is not None else None
        if value is None:
            kept.append(column)
        else:
            text = (
                Text(column.common)
                if column.common
                else Text(f"{column.name or column.head}: ") + value
            )
            said.append((column, text))
    return kept, said


def fitting(columns: Sequence[TextColumn], width: int) -> list[TextColumn]:
    """Return the columns that fit into a width, those of the lowest priority numbers first."""
    shown: list[TextColumn] = []
    dropped: set[int | None] = set()
    taken = -_GAP
    for unit in _units(columns):
        needed = sum(column.least + _GAP for column in unit)
        # an interval is not shown without its estimate
        fits = taken + needed <= width and unit[0].unit not in dropped - {None}
        if fits or not unit[0].priority:
            shown += unit
            taken += needed
        else:
            dropped.add(unit[0].unit)
    return [column for column in columns if column in shown]


def _units(columns: Sequence[TextColumn]) -> Iterator[list[TextColumn]]:
    """Yield the columns in the order of their priorities, those that belong together as one."""
    places = {id(column): place for place, column in enumerate(columns)}

    def key(column: TextColumn) -> tuple[int, int]:
        return (column.priority, places[id(column)] if column.unit is None else column.unit)

    for _, unit in groupby(sorted(columns, key=key), key=key):
        yield list(unit)


def _is_stacked(shown: Sequence[TextColumn], width: int) -> bool:
    return sum(column.least + _GAP for column in shown) - _GAP > width or len(shown) < 2


class _Grid:
    """Columns side by side, below their heads; those of prose share the spare width.

    A table of rich itself takes five times as long.
    """

    def __init__(self, columns: Sequence[TextColumn], spare: int) -> None:
        self._columns = columns
        self._widths: list[int] = []
        for column in columns:
            width = min(column.natural, column.least + spare)
            spare -= width - column.least
            self._widths.append(width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines of the heads, a rule, and the lines of each row."""
        heads = [
            [Text(line, "bold") for line in textwrap.wrap(column.head, width, **_WHOLE)]
            for column, width in zip(self._columns, self._widths, strict=True)
        ]
        height = max(map(len, heads))
        bottom = [[*[Text()] * (height - len(lines)), *lines] for lines in heads]
        yield from self._lines(bottom, console)
        rule = "-" if options.ascii_only else "─"
        yield Segment(rule * (sum(self._widths) + _GAP * (len(self._widths) - 1)))
        yield Segment.line()
        for row in zip(*(column.cells for column in self._columns), strict=True):
            if len(row) == 1 or any(cell.plain for cell in row[1:]):
                yield from self._lines(self._wrapped(row, console), console)

    def _wrapped(self, row: Sequence[Text], console: Console) -> Iterator[Sequence[Text]]:
        for column, width, cell in zip(self._columns, self._widths, row, strict=True):
            is_whole = not column.is_prose or cell_len(cell.plain) <= width
            yield [cell] if is_whole and "\n" not in cell.plain else [*cell.wrap(console, width)]

    def _lines(self, cells: Iterable[Sequence[Text]], console: Console) -> Iterator[Segment]:
        for line in zip_longest(*cells, fillvalue=Text()):
            segments: list[Segment] = []
            for column, width, text in zip(self._columns, self._widths, line, strict=True):
                blank = Segment(" " * (width - cell_len(text.plain)))
                parts = _segments(text, console)
                segments += [blank, *parts] if column.numeric else [*parts, blank]
                segments.append(Segment(" " * _GAP))
            yield from _trimmed(segments)
            yield Segment.line()


def _segments(text: Text, console: Console) -> list[Segment]:
    if text.spans:
        return list(text.render(console))
    return [Segment(text.plain, console.get_style(text.style) if text.style else None)]


def _print_blocks(columns: Sequence[TextColumn], console: Console) -> None:
    """Print the rows one below the other, each as its heads and texts."""
    widest = max(cell_len(column.head) for column in columns)
    for cells in zip(*(column.cells for column in columns), strict=True):
        block = RichTable.grid(padding=(0, _GAP, 0, 0))
        block.add_column(width=min(widest, console.width // 3), overflow="fold")
        block.add_column(overflow="fold")
        for column, cell in zip(columns, cells, strict=True):
            if cell.plain.strip():
                block.add_row(Text(column.head, "bold"), cell)
        console.print(Trimmed(block))
        console.print()


def print_wrapped(text: Text, console: Console) -> None:
    """Print a text with its lines broken at words."""
    console.print(Trimmed(text))


def listed_columns(
    rows: Sequence[Mapping[str, str]],
    priorities: Mapping[str, int],
    *,
    numeric: Iterable[str] = (),
    prose: Iterable[str] = (),
    common: Iterable[str] = (),
) -> list[TextColumn]:
    """Return the columns of a list of objects with the same keys, which are the heads."""
    return [
        TextColumn(
            key,
            tuple(Text(visible(row[key])) for row in rows),
            priority,
            numeric=key in numeric,
            is_prose=key in prose,
            common="" if key in common else None,
        )
        for key, priority in priorities.items()
        if rows and key in rows[0]
    ]


def with_unique_names(columns: Iterable[TextColumn]) -> list[TextColumn]:
    """Return columns with a number behind every head that stands before it in the table."""
    seen: dict[str, int] = {}
    found = []
    for column in columns:
        count = seen[column.slug] = seen.get(column.slug, 0) + 1
        further = f" {count}" if count > 1 else ""
        found.append(replace(column, name=f"{column.slug}{further}") if further else column)
    return found
