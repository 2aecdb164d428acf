"""The parts of a report, independent of its output format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NECESSARY = 0
"""Priority of a column without which a row says nothing."""


@dataclass(frozen=True)
class TextHead:
    """A column on a terminal: one to three words, and its rank for a place."""

    head: str
    priority: int = 50
    """Columns of higher numbers are the first to be left out where the width is too small."""
    key: str = ""
    """Further name for ``--columns``, shared by the columns of several runtimes."""
    name: str = ""
    """Name for ``--columns``, if it is not the head's."""
    setting: str = ""
    """Label of the line with the conditions of the column's group; empty for none."""
    common: str | None = None
    """Sentence in place of a column with one value in all rows; ``""`` names head and value,
    None keeps the column."""
    is_verdict: bool = False


@dataclass(frozen=True)
class Column:
    """A column and its head."""

    head: str
    unit: str = ""
    """Unit and convention, shown in parentheses."""
    group: str = ""
    """Head above this column and its neighbors of the same group."""
    numeric: bool = False
    shown: tuple[TextHead, ...] = ()
    """Columns on a terminal, several for an estimate with its interval and verdict."""

    @property
    def heads(self) -> tuple[TextHead, ...]:
        """Return the columns on a terminal; by default one with the same head."""
        return self.shown or (TextHead(self.head),)

    @property
    def full_head(self) -> str:
        """Return head and unit on one line."""
        return f"{self.head} ({self.unit})" if self.unit else self.head


@dataclass(frozen=True)
class Cell:
    """A cell: a text, or a printed figure with our value and the verdict."""

    text: str = ""
    printed: str = ""
    ours: str = ""
    verdict: str = ""
    notes: tuple[int, ...] = ()
    """Numbers of footnotes."""
    bold: bool = False
    span: int = 1
    """Number of columns that the cell spans."""
    tex: str = ""
    """LaTeX form of the text, already escaped."""
    cite: str = ""
    """BibTeX key, cited in LaTeX."""
    citation: str = ""
    """Short citation of the same paper, shown in the other formats."""
    parts: tuple[str, ...] = ()
    """Texts of the columns on a terminal; by default the figures and the verdict."""

    @property
    def plain(self) -> str:
        """Return the content as one text."""
        if not self.verdict:
            return self.text
        # without a value of ours, the verdict is the reason and takes its place
        ours = f"{self.ours} ({self.verdict})" if self.ours else self.verdict
        return f"{self.printed} / {ours}"

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the texts of the columns on a terminal."""
        if self.parts or not self.verdict:
            return self.parts or (self.text,)
        return (f"{self.printed} / {self.ours}" if self.ours else self.printed, self.verdict)


@dataclass(frozen=True)
class Table:
    """A table; the spans of each row's cells add up to the number of columns."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    """Notes below the table, without numbers."""
    footnotes: tuple[str, ...] = ()
    """Footnotes, numbered from 1."""
    details: Mapping[str, str] = field(default_factory=dict)
    """Footnotes that only explain, each with its short form, which may be empty."""
    keys: int = 0
    """Number of first columns that name a row; a wide table is split behind them, unless 0."""
    merits: tuple[float | None, ...] = ()
    """Cost of each row by which the best and the worst are found, less is better."""


@dataclass(frozen=True)
class Report:
    """All tables of a suite."""

    name: str
    title: str = ""
    url: str = ""
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    footer: tuple[str, ...] = ()
    brief: tuple[str, ...] = ()
    """Sentences on a terminal, in place of notes and footer."""
    lines: tuple[Mapping[str, Any], ...] = ()
    """Tidy data, one line for each case of each row: the content of the CSV."""
    bibtex: tuple[str, ...] = field(default=(), repr=False)
    """BibTeX entries of the papers of all modules in the tables."""
