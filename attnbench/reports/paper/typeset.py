"""Columns of a paper's table as LaTeX: their formats, heads and cells, and the width they need."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import groupby

from attnbench.reports.paper.columns import PaperColumn
from attnbench.reports.paper.figures import Figure
from attnbench.reports.tables.number_format import decimal
from attnbench.reports.tables.type_widths import text_width
from attnbench.reports.tables.verdict_marks import verdict_mark
from attnbench.utils.escape import latex, stack_lines

_HEAD_WIDTH = 12
"""Width in characters above which a head is broken at its words."""
TILDE = "∼"
"""The mark ~ as a symbol: a raised tilde would not be seen as one."""
_THIN = 2.0
"""Width in points of the space before an interval or a mark."""


@dataclass(frozen=True)
class TypesetColumn:
    """A column of the table as up to three of LaTeX's: number, interval and mark."""

    column: PaperColumn

    @cached_property
    def _numbers(self) -> list[str]:
        numbers = [figure.number for figure in self.column.figures if figure.number]
        return [number for number in numbers if number[0] != "<"] or numbers

    @cached_property
    def _has_interval(self) -> bool:
        return any(figure.low for figure in self.column.figures)

    @cached_property
    def _has_mark(self) -> bool:
        return any(verdict_mark(figure.verdict) for figure in self.column.figures)

    @cached_property
    def _is_symmetric(self) -> bool:
        """Return whether each interval is the number plus or minus its half width."""
        found = [figure for figure in self.column.figures if figure.low and figure.number]
        return bool(found) and all(map(_is_symmetric, found))

    @property
    def parts(self) -> int:
        """Return the number of LaTeX's columns."""
        return 1 + self._has_interval + self._has_mark

    @property
    def spec(self) -> str:
        """Return the column formats, siunitx's for numbers."""
        text = "l" if self.column.key in ("label", "placement", "formula") else "c"
        first = f"S[table-format={self._format}]" if self._numbers else text
        return first + r"@{\,}l" * self._has_interval + r"@{\,}l" * self._has_mark

    @cached_property
    def _format(self) -> str:
        numbers = [number.lstrip("-<") for number in self._numbers]
        whole = max(len(number.partition(".")[0]) for number in numbers)
        decimals = max(len(number.partition(".")[2]) for number in numbers)
        sign = "-" * any("-" in number for number in self._numbers)
        return f"{sign}{whole}.{decimals}"

    @property
    def head_lines(self) -> list[str]:
        """Return the head with its unit, broken at words."""
        unit = f" ({self.column.unit})" if self.column.unit else ""
        width = _HEAD_WIDTH if self.parts == 1 else 2 * _HEAD_WIDTH
        lines = textwrap.wrap(self.column.head, width, break_long_words=False)
        if not lines:
            return [unit.strip()]
        fits = len(lines[-1] + unit) <= width
        return [*lines[:-1], lines[-1] + unit] if fits else [*lines, unit.strip()]

    @property
    def head(self) -> str:
        """Return the head across the parts of the column."""
        text = stack_lines(self.head_lines)
        if self.parts > 1:
            return rf"\multicolumn{{{self.parts}}}{{c}}{{{text}}}"
        return f"{{{text}}}" if self._numbers else text

    def is_shared(self, row: int) -> bool:
        """Return whether the figure of a row is that of a cell across several columns."""
        return self.column.figures[row].is_shared

    def cells(self, row: int) -> list[str]:
        """Return the cells of a row, one for each part."""
        figure = self.column.figures[row]
        cells = [self._first(figure)]
        if self._has_interval:
            cells.append(latex(self._interval(figure)))
        if self._has_mark:
            cells.append(latex(mark(figure.verdict)))
        return cells

    def _first(self, figure: Figure) -> str:
        if figure.number.startswith("<"):
            return f"{{$<${figure.number[1:]}}}"
        if figure.number:
            # siunitx sees that a number is bold if the font is set in front of it
            return rf"\bfseries {figure.number}" if figure.is_best else figure.number
        text = latex(_shown(figure.text))
        return f"{{{text}}}" if self._numbers and text else text

    def _interval(self, figure: Figure) -> str:
        if not figure.low:
            return ""
        if self._is_symmetric and figure.number:
            return f"±{_half(figure)}"
        return f"[{figure.low}, {figure.high}]".replace("-", "−")

    def width(self, size: int) -> float:
        """Return the width in points at a type size, without the space between columns."""

        def widest(texts: Iterable[str]) -> float:
            return max((text_width(text, size) for text in texts), default=0.0)

        figures = self.column.figures
        body = widest([self._sample, *(_shown(figure.text) for figure in figures)])
        if self._has_interval:
            body += _THIN + widest(map(self._interval, figures))
        if self._has_mark:
            body += _THIN + widest("▲")
        return max(body, widest(self.head_lines))

    @property
    def _sample(self) -> str:
        """Return a number of the column's format."""
        if not self._numbers:
            return ""
        return re.sub(r"\d+", lambda digits: "0" * int(digits[0]), self._format)


def shared_cell(columns: Sequence[TypesetColumn], row: int) -> str:
    """Return a cell across columns, ``Top-1 = 70.65, Top-5 = 89.76``."""
    width = sum(column.parts for column in columns)
    figures = {column.column.head: column.column.figures[row].number for column in columns}
    text = ", ".join(f"{head} = {number}" for head, number in figures.items() if number)
    return rf"\multicolumn{{{width}}}{{c}}{{{latex(text or '–')}}}"


def mark(verdict: str) -> str:
    """Return the mark of a verdict."""
    return verdict_mark(verdict).replace("~", TILDE)


def _is_symmetric(figure: Figure) -> bool:
    """Return whether the interval is symmetric but for the rounding of its bounds."""
    center, low, high = (Fraction(text) for text in (figure.number, figure.low, figure.high))
    return abs(high + low - 2 * center) <= 2 * Fraction(1, 10 ** _places(figure))


def _half(figure: Figure) -> str:
    """Return half the width of the interval, not less than either side of it."""
    center, low, high = (Fraction(text) for text in (figure.number, figure.low, figure.high))
    return decimal(max(high - center, center - low), _places(figure))


def _places(figure: Figure) -> int:
    return len(figure.number.partition(".")[2])


def _shown(text: str) -> str:
    return "–" if text in ("", "A/A", "not run", "not measured", "skipped") else text


def group_row(columns: Sequence[TypesetColumn]) -> str:
    """Return the heads above the columns with their rules; empty without any."""
    if not any(column.column.group for column in columns):
        return ""
    cells, rules, start = [], [], 1
    for group, members in _groups(columns):
        width = sum(column.parts for column in members)
        if group:
            cells.append(rf"\multicolumn{{{width}}}{{c}}{{{latex(group)}}}")
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        else:
            cells += [""] * width
        start += width
    return rf"{' & '.join(cells)} \\{''.join(rules)}"


def _groups(columns: Sequence[TypesetColumn]) -> Iterator[tuple[str, list[TypesetColumn]]]:
    for group, members in groupby(columns, key=lambda column: column.column.group):
        yield group, list(members)


def excess_of_groups(columns: Sequence[TypesetColumn], size: int, gap: float) -> float:
    """Return how much wider the heads above columns are than these."""
    excess = 0.0
    for group, members in _groups(columns):
        inner = sum(column.width(size) for column in members) + gap * (len(members) - 1)
        excess += max(0.0, text_width(group, size) - inner)
    return excess
