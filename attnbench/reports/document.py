"""The parts of a text document, and their GitHub Markdown for pages and comments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from attnbench.utils.escape import EscapedText, markdown, markdown_code, visible


class Heading(NamedTuple):
    """A title: of the document (up to level 2) or of what follows."""

    text: str
    level: int = 4
    """Level in Markdown; 0 for a bold paragraph."""


class Lines(NamedTuple):
    """Lines for a terminal."""

    lines: Sequence[str]
    is_code: bool = False
    """Whether they are to be copied, so that none is broken at the terminal's width."""


class Rows(NamedTuple):
    """Labels, each with a text."""

    rows: tuple[tuple[str, str], ...]


class Items(NamedTuple):
    """Sentences, below an optional heading line."""

    texts: tuple[str, ...]
    head: str = ""


class Formula(NamedTuple):
    """Lines of mathematics as plain text, with shapes after a gap."""

    text: str


class Equations(NamedTuple):
    """The LaTeX form of a formula, taken from the card: one equation per line."""

    tex: str

    def display(self) -> str:
        r"""Return the equations in display mode: ``\[..\]``, or ``align*`` for several."""
        lines = self._lines()
        return f"\\[\n  {lines[0]}\n\\]" if len(lines) == 1 else _environment("align*", lines)

    def mathematics(self) -> str:
        """Return the equations without math delimiters, for Markdown's math blocks."""
        lines = self._lines()
        return lines[0] if len(lines) == 1 else _environment("aligned", lines)

    def _lines(self) -> list[str]:
        """Return the equations; a formula with its own environment is not split."""
        if "\\begin{" in self.tex:
            return [self.tex.strip()]
        return [line.strip() for line in self.tex.splitlines() if line.strip()]


class CodeBlock(NamedTuple):
    """Lines of code to copy."""

    text: str
    language: str


class Grid(NamedTuple):
    """A table of a Markdown document."""

    head: str
    """Heads and alignment: two lines of Markdown."""
    rows: Sequence[Sequence[str]]


class Folded(NamedTuple):
    """Blocks of a Markdown document that are folded below a title in HTML."""

    title: str
    blocks: Sequence[Block]


Block = Heading | Lines | Rows | Items | Formula | Equations | CodeBlock | Grid | Folded


def limit_rows(grid: Grid, most: int, command: str) -> Iterator[Block]:
    """Yield a table of at most ``most`` rows, and the command that lists the others."""
    yield Grid(grid.head, grid.rows[:most])
    left = len(grid.rows) - most
    if left > 0:
        yield Items((), EscapedText(f"and {left} more; `{command}` lists them all"))


def _environment(name: str, lines: list[str]) -> str:
    body = " \\\\\n".join(f"  {_aligned(line)}" for line in lines)
    return f"\\begin{{{name}}}\n{body}\n\\end{{{name}}}"


def _aligned(line: str) -> str:
    r"""Mark the first equals sign outside brackets (bounds of a sum, ``\left(`` to ``\right)``)."""
    depth = 0
    for at, character in enumerate(line):
        depth += (character in "{([") - (character in "})]")
        if character == "=" and depth == 0:
            return f"{line[:at]}&{line[at:]}"
    return f"& {line}"


def to_markdown(blocks: Iterable[Block]) -> str:
    """Return the blocks as Markdown, separated by blank lines."""
    return f"{visible(_joined(blocks))}\n"


def _joined(blocks: Iterable[Block]) -> str:
    return "\n\n".join(map(_block, blocks))


def _block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {_escaped(text)}" if level else f"**{_escaped(text)}**"
        case Rows(rows):
            return "\n".join(_row(label, text) for label, text in rows)
        case Items(texts, head):
            items = "\n".join(f"- {_escaped(text)}" for text in texts)
            return "\n\n".join(part for part in (_escaped(head), items) if part)
        case Grid(head, cells):
            lines = [f"| {' | '.join(map(_escaped, row))} |" for row in cells]
            return "\n".join([head, *lines])
        case Folded(title, blocks):
            return f"<details><summary>{title}</summary>\n\n{_joined(blocks)}\n\n</details>"
        case Formula(text):
            return _fence("text", text)
        case Equations():
            return _fence("math", block.mathematics())
        case Lines(lines, _):
            return _fence("text", "\n".join(lines))
        case CodeBlock(text, language):
            return _fence(language, text)


def _escaped(text: str) -> EscapedText:
    return text if isinstance(text, EscapedText) else markdown(text)


def _row(label: str, text: str) -> str:
    """Return a list item, with a label that is code formatted as code."""
    if not label:
        return f"  {markdown(text)}"
    name = markdown_code(label) if set("=._") & set(label) else markdown(label)
    return f"- {name}: {markdown(text)}"


def _fence(language: str, text: str) -> str:
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
