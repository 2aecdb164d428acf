"""Tables: reports built from a planned suite and its records, rendered without importing torch."""

from attnbench.reports.tables.build import build_report
from attnbench.reports.tables.render import FORMATS, bibtex, render, write
from attnbench.reports.tables.report import Cell, Column, Report, Table

__all__ = [
    "FORMATS",
    "Cell",
    "Column",
    "Report",
    "Table",
    "bibtex",
    "build_report",
    "render",
    "write",
]
