"""Full tables as LaTeX: long tables on pages on their side, with the columns that fit."""

from __future__ import annotations

import re
from itertools import accumulate

from attnbench.reports.tables.parts import Part, parts_of, short_head
from attnbench.reports.tables.report import Cell, Column, Table
from attnbench.reports.tables.type_widths import text_width
from attnbench.utils.escape import EscapedText, latex

_PAGE = 528.0
"""Width in points that estimates may fill: 96% of the height of the text of ``article``."""
_SIZE = 8
_GAP = 8.0
"""Space between columns in points."""


def latex_parts(table: Table) -> list[Part]:
    """Return the parts of a table that fit a page on its side."""
    return parts_of(table, lambda part: _width(part) <= _PAGE)


def _width(part: Part) -> float:
    widths = [text_width(short_head(column), _SIZE) for column in part.columns]
    for row in part.rows:
        starts = accumulate((cell.span for cell in row), initial=0)
        for start, cell in zip(starts, row, strict=False):
            if cell.span == 1:
                widths[start] = max(widths[start], _cell_width(cell))
    spanning = [_cell_width(cell) for row in part.rows for cell in row if cell.span > 1]
    return max([sum(widths) + _GAP * len(widths), *spanning])


def _cell_width(cell: Cell) -> float:
    citation = f" [{cell.citation}]" if cell.citation else ""
    marks = ",".join(map(str, cell.notes))
    return max(text_width(f"{line}{citation}{marks}", _SIZE) for line in _lines(cell))


def _lines(cell: Cell) -> list[str]:
    """Return the lines of a cell: a printed figure and ours stand above their verdict."""
    if not cell.verdict:
        return [cell.plain]
    return [f"{cell.printed} / {cell.ours}" if cell.ours else cell.printed, cell.verdict]


def latex_cell(cell: Cell) -> EscapedText:
    """Return a cell with its citation and the marks of its footnotes."""
    figures, *verdict = map(latex, _lines(cell))
    text = cell.tex or figures
    if verdict:
        text = rf"\shortstack[r]{{{figures} \\ \scriptsize {verdict[0]}}}"
    if cell.bold:
        text = rf"\textbf{{{text}}}"
    if re.fullmatch(r"[A-Za-z0-9:_-]+", cell.cite):
        text = rf"{text}~\cite{{{cell.cite}}}"
    if cell.notes:
        text += rf"\textsuperscript{{{','.join(map(str, cell.notes))}}}"
    return EscapedText(rf"\multicolumn{{{cell.span}}}{{c}}{{{text}}}" if cell.span > 1 else text)


def latex_head(column: Column) -> EscapedText:
    """Return the head of a column."""
    return latex(short_head(column))
