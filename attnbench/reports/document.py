"""The parts of a text document, independent of its output format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attnbench.utils.escape import EscapedText


@dataclass(frozen=True)
class Heading:
    """A title: of the document (up to level 2) or of what follows."""

    text: str
    level: int = 4
    """Level in Markdown; 0 for a bold paragraph."""


@dataclass(frozen=True)
class Lines:
    """Lines for a terminal, printed as they are."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Rows:
    """Labels, each with a text."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Items:
    """Sentences, below an optional heading line."""

    texts: tuple[str, ...]
    head: str = ""


@dataclass(frozen=True)
class Formula:
    """Lines of mathematics as plain text, with shapes after a gap."""

    text: str


@dataclass(frozen=True)
class Equations:
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


@dataclass(frozen=True)
class CodeBlock:
    """Lines of code to copy."""

    text: str
    language: str


@dataclass(frozen=True)
class Grid:
    """A table of a Markdown document."""

    head: str
    """Heads and alignment: two lines of Markdown."""
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Folded:
    """Blocks of a Markdown document that are folded below a title in HTML."""

    title: str
    blocks: Sequence[Block]


Block = Heading | Lines | Rows | Items | Formula | Equations | CodeBlock | Grid | Folded


def code(text: str) -> EscapedText:
    """Return text as inline code of Markdown."""
    return EscapedText(f"`{text}`")


def limited(grid: Grid, most: int, command: str) -> Iterator[Block]:
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
