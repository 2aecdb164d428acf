"""Tables as GitHub shows them: narrow ones, with linked footnotes and lines that fit a screen."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import accumulate

from attnbench.reports.tables.parts import Part, parts_of, short_head, short_text, verdicts_of
from attnbench.reports.tables.report import Cell, Table
from attnbench.reports.tables.verdict_marks import legend
from attnbench.utils.escape import EscapedText, markdown, markdown_prose

MOST_COLUMNS = 8
MOST_CHARACTERS = 160
_TEXT_WIDTH = 120
_BLOCK_START = re.compile(r"^([-+#>=]|\d+(?=[.)](\s|$)))")
"""What at the start of a line would begin another block."""


def markdown_parts(table: Table) -> list[Part]:
    """Return the parts of a table that fit into lines of Markdown."""
    return parts_of(table, _fits)


def _fits(part: Part) -> bool:
    lines = markdown_rows(part, 0)
    return len(part.columns) <= MOST_COLUMNS and max(map(len, lines)) <= MOST_CHARACTERS


def markdown_rows(part: Part, table: int) -> Iterator[str]:
    """Yield the lines of a part; what is marked in every row is marked in the head."""
    common = part.common_notes or [()] * len(part.columns)
    heads = [
        f"{markdown(short_head(column))}{_marks(numbers, table)}"
        for column, numbers in zip(part.columns, common, strict=True)
    ]
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('--:' if column.numeric else '---' for column in part.columns)} |"
    for row in part.rows:
        starts = accumulate((cell.span for cell in row), initial=0)
        cells = (
            _cell(cell, common[start], table) for cell, start in zip(row, starts, strict=False)
        )
        yield f"| {' | '.join(cells)} |"


def _cell(cell: Cell, common: Sequence[int], table: int) -> str:
    text: str = markdown(short_text(cell))
    if cell.citation:
        text = f"{text} {markdown(f'[{cell.citation}]')}"
    if cell.bold:
        text = f"**{text}**"
    own = [number for number in cell.notes if number not in common]
    # Markdown has no cells across columns: the first cell holds the text
    return f"{text}{_marks(own, table)}" + " |" * (cell.span - 1)


def _marks(numbers: Sequence[int], table: int) -> str:
    return "".join(f"[^{_name(table, number)}]" for number in numbers)


def _name(table: int, number: int) -> str:
    return f"{table}-{number}"


def markdown_footnote(text: str, table: int, number: int) -> EscapedText:
    """Return the definition of a footnote, to which GitHub links its marks."""
    return EscapedText(f"[^{_name(table, number)}]: {markdown_text(text, indent='    ')}")


def markdown_legend(parts: Sequence[Part]) -> str:
    """Return the sentence on the marks of verdicts in the parts."""
    words = legend(verdicts_of(parts))
    return f"{words}." if words else ""


def markdown_text(text: str, indent: str = "") -> EscapedText:
    """Return a paragraph in lines that fit a screen, none of which begins another block."""
    lines = textwrap.wrap(
        markdown_prose(text), _TEXT_WIDTH, break_long_words=False, break_on_hyphens=False
    )
    first, *others = lines or [""]
    kept = [_BLOCK_START.sub(_escaped, line, count=1) for line in others]
    return EscapedText(f"\n{indent}".join([first, *kept]))


def _escaped(found: re.Match[str]) -> str:
    return f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}"
