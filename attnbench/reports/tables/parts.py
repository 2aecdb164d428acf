"""Narrow parts of a wide table: its costs, latencies and accuracies, as many columns as fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from attnbench.reports.tables.accuracy_columns import SETTING
from attnbench.reports.tables.number_format import NOTHING
from attnbench.reports.tables.report import Cell, Column, Table
from attnbench.reports.tables.verdict_marks import verdict_mark

_SHORT_UNIT = 10
"""Number of characters of a unit that has a place in a head."""


@dataclass(frozen=True)
class Part:
    """Some columns of a table, behind those that name its rows."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    """``Cost``, ``Latency`` or ``Accuracy``; empty in a table of one kind and behind the first."""

    @property
    def conditions(self) -> list[str]:
        """Return what holds for whole columns: conventions, and conditions of measurements."""
        units: dict[str, list[str]] = {}
        for column in self.columns:
            if column.unit and not column.heads[0].setting and not _is_short(column.unit):
                units.setdefault(column.unit, []).append(short_head(column))
        texts = [f"{', '.join(dict.fromkeys(heads))}: {unit}" for unit, heads in units.items()]
        settings = [
            f"{column.heads[0].setting}: {column.group}."
            for column in self.columns
            if column.heads[0].setting
        ]
        return list(dict.fromkeys([*([f"{'; '.join(texts)}."] if texts else []), *settings]))

    @property
    def common_notes(self) -> list[tuple[int, ...]]:
        """Return for each column the footnotes that all of its cells share."""
        rows = [[cell for cell in row for _ in range(cell.span)] for row in self.rows]
        return [_common(cells) for cells in zip(*rows, strict=True)]


def parts_of(table: Table, fits: Callable[[Part], bool]) -> list[Part]:
    """Return a table in parts, each with the columns that name its rows, that fit if they can."""
    if not 0 < table.keys < len(table.columns):
        return [_part(replace(table, keys=0), range(len(table.columns)))]
    rest = range(table.keys, len(table.columns))
    kinds = [list(group) for _, group in groupby(rest, lambda n: _kind(table.columns[n]))]
    found = [part for members in kinds for part in _packed(table, members, fits)]
    if len(kinds) == 1:
        return found
    titles = [_title(part.columns[table.keys :]) for part in found]
    before = ["", *titles]
    return [
        replace(part, title="" if title == last else title)
        for part, title, last in zip(found, titles, before, strict=False)
    ]


def _kind(column: Column) -> str:
    head = column.heads[0]
    if head.setting and head.setting != SETTING:
        return "Latency"
    return "Accuracy" if head.setting or head.key in ("top1", "top5") else "Cost"


def _title(columns: Sequence[Column]) -> str:
    keys = [column.heads[0].key for column in columns]
    both = _kind(columns[0]) == "Latency" and "difference" in keys
    return "Latency and accuracy" if both else _kind(columns[0])


def _packed(table: Table, members: Sequence[int], fits: Callable[[Part], bool]) -> Iterator[Part]:
    """Yield parts with as many columns as fit, those of a runtime together."""
    names = list(range(table.keys))
    taken: list[int] = []
    for unit in _units(table, members, lambda numbers: fits(_part(table, [*names, *numbers]))):
        if taken and not fits(_part(table, [*names, *taken, *unit])):
            yield _part(table, [*names, *taken])
            taken = []
        taken += unit
    yield _part(table, [*names, *taken])


def _units(
    table: Table, members: Sequence[int], fits: Callable[[Sequence[int]], bool]
) -> Iterator[list[int]]:
    """Yield the columns of each runtime or group together if they fit, others one by one."""
    for group, found in groupby(members, lambda number: table.columns[number].group):
        numbers = list(found)
        if group and fits(numbers):
            yield numbers
        else:
            yield from ([number] for number in numbers)


def _part(table: Table, numbers: Sequence[int]) -> Part:
    columns = tuple(table.columns[number] for number in numbers)
    rows = [tuple(_cells(row, numbers)) for row in table.rows]
    kept = [row for row in rows if any(cell.plain for cell in row[table.keys :])]
    return Part(columns, tuple(kept if table.keys else rows))


def _cells(row: Sequence[Cell], numbers: Sequence[int]) -> Iterator[Cell]:
    """Yield the cells of some columns; of a cell across several, those columns that are shown."""
    start = 0
    for cell in row:
        shown = sum(start <= number < start + cell.span for number in numbers)
        start += cell.span
        if shown:
            yield replace(cell, span=shown)


def _common(cells: Sequence[Cell]) -> tuple[int, ...]:
    filled = [cell for cell in cells if cell.plain not in ("", NOTHING)]
    if len(filled) < 2:
        return ()
    shared = set(filled[0].notes).intersection(*(cell.notes for cell in filled))
    return tuple(sorted(shared))


def short_head(column: Column) -> str:
    """Return the head of a column in a few words, with a short unit."""
    head = column.heads[0].head
    is_named = not _is_short(column.unit) or column.unit in head.split()
    return head if is_named else f"{head} ({column.unit})"


def _is_short(unit: str) -> bool:
    return 0 < len(unit) <= _SHORT_UNIT


def short_text(cell: Cell) -> str:
    """Return the content of a cell, with a mark in place of a verdict."""
    if cell.verdict:
        mark = verdict_mark(cell.verdict)
        return f"{cell.printed} / {cell.ours or NOTHING} {mark}".rstrip()
    if len(cell.parts) == 3:
        estimate, bounds, verdict = cell.parts
        return " ".join(filter(None, (estimate, bounds, verdict_mark(verdict) or verdict)))
    return cell.text


def verdicts_of(parts: Sequence[Part]) -> list[str]:
    """Return the verdicts in the cells of parts, each once."""
    cells = (cell for part in parts for row in part.rows for cell in row)
    found = (cell.verdict or (cell.parts[2] if len(cell.parts) == 3 else "") for cell in cells)
    return list(dict.fromkeys(filter(None, found)))
