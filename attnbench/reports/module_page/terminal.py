"""Terminal form of a module's sections, with text wrapped at its width and aligned columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rich.console import Console
from rich.text import Text

from attnbench.reports.module_page.latex_formula import display
from attnbench.reports.module_page.sections import Block, Equations, Formula, Items, Rows, Section

_GAP = re.compile(r" {2,}")
_INDENT = "  "
_LEAST = 40
"""Minimum width of wrapped text, in characters, even on a narrower terminal."""


def print_module(headline: str, sections: Sequence[Section], console: Console) -> None:
    """Print the headline and all sections, the first one without its title."""
    width = max(console.width, _LEAST)
    _print(textwrap.wrap(headline, width), console, "bold")
    for number, section in enumerate(sections):
        if number:
            _print(["", section.title], console, "bold")
        for block in section.blocks:
            _print(block_lines(block, width), console)


def _print(lines: Iterable[str], console: Console, style: str = "") -> None:
    for line in lines:
        console.print(Text(line, style), soft_wrap=True)


def block_lines(block: Block, width: int) -> Iterator[str]:
    """Yield a block's lines, at most ``width`` characters long except for lines to be copied."""
    if isinstance(block, Rows):
        yield from _columns(block.rows, width)
    elif isinstance(block, Items):
        if block.head:
            yield from _wrapped(block.head, _INDENT, _INDENT, width)
        for text in block.texts:
            yield from _wrapped(text, f"{_INDENT}- ", f"{_INDENT}  ", width)
    elif isinstance(block, Formula):
        yield from _formula(block.text, width)
    else:
        copied = display(block.tex) if isinstance(block, Equations) else block.text
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
