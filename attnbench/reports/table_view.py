"""The part of a table that is shown on a terminal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TableView:
    """The part of a table to show."""

    columns: tuple[str, ...] = ()
    """Names of the columns; empty for those that fit."""
    wide: bool = False
    """All columns, however wide the terminal."""
    explain: bool = False
    """Footnotes and methods in full."""
