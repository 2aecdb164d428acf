"""The type size, spacing and kind of float with which a table fits its page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from attnbench.reports.paper.columns import PaperColumn
from attnbench.reports.paper.typeset import TypesetColumn, excess_of_groups
from attnbench.reports.tables.type_widths import text_width

ONE_COLUMN, TWO_COLUMN = 345.0, 410.0
"""Width of the text of ``article`` in points."""
HEIGHT = 550.0
"""Height of its text; the width of a table that is turned on its side."""
_SURE = 0.96
"""Share of a width that estimates may fill."""
_SIZES = {9: (r"\small", 11.0), 8: (r"\footnotesize", 9.5), 7: (r"\scriptsize", 8.0)}
"""Command and distance of lines, by type size; below 7 points nothing is readable."""
_SETTINGS = ((9, 6.0), (9, 4.0), (8, 6.0), (8, 4.0), (7, 4.0), (8, 2.5), (7, 2.5))
"""Type size and half the space between columns in points, the most readable first."""
_SMALLEST = (8, 4.0)
"""Size and space of tables whose columns may be chosen."""
_MOST_GAP = 12.0
_NOTE_SIZE, _NOTE_LEADING = 8, 9.5
_AROUND = 70.0
"""Height of a float's rules, heads and caption of one line, and the space around it."""


@dataclass(frozen=True)
class Fit:
    """Type size, spacing and float of a table."""

    command: str
    """Command of the type size."""
    gap: float
    """LaTeX's tabcolsep in points."""
    sideways: bool = False
    most_rows: int | None = None
    """Number of rows of a page if the table needs several, else None."""


def fits_with(columns: Sequence[PaperColumn], most: int, two_column: bool) -> list[PaperColumn]:
    """Return the first columns, at most ``most``, of which each fits beside those before it."""
    shown: list[PaperColumn] = []
    width = _width(two_column)
    for column in columns:
        tried = [*shown, column]
        if len(tried) <= most and _needed([*map(TypesetColumn, tried)], *_SMALLEST) <= width:
            shown = tried
    return shown or list(columns[:1])


def fit_page(
    columns: Sequence[TypesetColumn],
    rows: int,
    notes: Sequence[str],
    title: str,
    two_column: bool,
) -> Fit:
    """Return the largest type and the most generous spacing that fit, sideways if none does."""
    page = _width(two_column)
    for width, (size, gap) in product((page, HEIGHT * _SURE), _SETTINGS):
        needed = _needed(columns, size, gap)
        if needed > width:
            continue
        command, leading = _SIZES[size]
        is_sideways = width > page
        is_long = _height(rows, leading, notes, title, needed) > HEIGHT and not is_sideways
        spare = (width - needed) / (2 * len(columns)) if gap == _SETTINGS[0][1] else 0.0
        most = _most_rows(leading) if is_long else None
        return Fit(command, round(min(_MOST_GAP, gap + spare), 1), is_sideways, most)
    return Fit(_SIZES[7][0], _SETTINGS[-1][1], sideways=True)


def _width(two_column: bool) -> float:
    return (TWO_COLUMN if two_column else ONE_COLUMN) * _SURE


def _needed(columns: Sequence[TypesetColumn], size: int, gap: float) -> float:
    own = sum(column.width(size) for column in columns) + 2 * gap * len(columns)
    return own + excess_of_groups(columns, size, 2 * gap)


def _height(rows: int, leading: float, notes: Sequence[str], title: str, width: float) -> float:
    lines = sum(math.ceil(text_width(note, _NOTE_SIZE) / width) for note in notes)
    caption = math.ceil(text_width(title, 10) / ONE_COLUMN)
    return _AROUND + rows * leading * 1.05 + lines * _NOTE_LEADING + caption * 12


def _most_rows(leading: float) -> int:
    return int((HEIGHT - 2 * _AROUND) / leading)
