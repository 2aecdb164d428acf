"""Tables: from a planned suite and its records to a report, and to text. Imports no torch."""

from attnbench.tables.build import build_report
from attnbench.tables.model import Cell, Column, Report, Table
from attnbench.tables.render import FORMATS, bibtex, latex_document, render
from attnbench.tables.write import write

__all__ = [
    "FORMATS",
    "Cell",
    "Column",
    "Report",
    "Table",
    "bibtex",
    "build_report",
    "latex_document",
    "render",
    "write",
]
