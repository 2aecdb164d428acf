"""The parts of a report, independent of its output format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Column:
    """A column and its head."""

    head: str
    unit: str = ""
    """Unit and convention, shown in parentheses."""
    group: str = ""
    """Head above this column and its neighbors of the same group."""
    numeric: bool = False

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

    @property
    def plain(self) -> str:
        """Return the content as one text."""
        if not self.verdict:
            return self.text
        # without a value of ours, the verdict is the reason and takes its place
        ours = f"{self.ours} ({self.verdict})" if self.ours else self.verdict
        return f"{self.printed} / {ours}"


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


@dataclass(frozen=True)
class Report:
    """All tables of a suite."""

    name: str
    title: str = ""
    url: str = ""
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    footer: tuple[str, ...] = ()
    lines: tuple[Mapping[str, Any], ...] = ()
    """Tidy data, one line for each case of each row: the content of the CSV."""
    bibtex: tuple[str, ...] = field(default=(), repr=False)
    """BibTeX entries of the papers of all modules in the tables."""
