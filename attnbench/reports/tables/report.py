"""What a report consists of, before it becomes Markdown, LaTeX, HTML or CSV."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Column:
    """A column and its head."""

    head: str
    unit: str = ""
    """Unit and convention, shown in brackets."""
    group: str = ""
    """Head above this and the neighbouring columns of the same group."""
    numeric: bool = False

    @property
    def full_head(self) -> str:
        """Head and unit on one line."""
        return f"{self.head} ({self.unit})" if self.unit else self.head


@dataclass(frozen=True)
class Cell:
    """One cell: a text, or a printed figure with ours and the verdict."""

    text: str = ""
    printed: str = ""
    ours: str = ""
    verdict: str = ""
    notes: tuple[int, ...] = ()
    """Numbers of footnotes."""
    bold: bool = False
    span: int = 1
    """How many columns it takes."""
    tex: str = ""
    """LaTeX that stands for the text, already escaped."""
    cite: str = ""
    """BibTeX key; LaTeX cites it."""
    citation: str = ""
    """The same paper in words; the other formats show it."""

    @property
    def plain(self) -> str:
        """The content as one text."""
        if not self.verdict:
            return self.text
        # no figure of ours: the verdict says why, and stands in its place
        ours = f"{self.ours} ({self.verdict})" if self.ours else self.verdict
        return f"{self.printed} / {ours}"


@dataclass(frozen=True)
class Table:
    """A table; the spans of each row's cells add up to the number of columns."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    """Below the table, without a number."""
    footnotes: tuple[str, ...] = ()
    """Numbered from 1."""


@dataclass(frozen=True)
class Report:
    """All tables of a suite."""

    name: str
    title: str
    source: str
    url: str
    notes: tuple[str, ...]
    tables: tuple[Table, ...]
    footer: tuple[str, ...]
    lines: tuple[Mapping[str, Any], ...] = ()
    """Tidy data, one line for each case of each row; what the CSV holds."""
    bibtex: tuple[str, ...] = field(default=(), repr=False)
    """Entries of the papers of all modules in the tables."""
