"""Tables: reports built from a planned suite and its records, rendered without importing torch."""

from attnbench.reports.tables.build import build_report
from attnbench.reports.tables.render import FORMATS, bibtex, latex_document, render
from attnbench.reports.tables.report import Cell, Column, Report, Table
from attnbench.reports.tables.write import write

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
