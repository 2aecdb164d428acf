"""Rendering of a report as Markdown, CSV, LaTeX or HTML, and its files beside the records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from attnbench.errors import unknown
from attnbench.reports.tables.latex_table import latex_cell, latex_head, latex_parts
from attnbench.reports.tables.long_format import to_csv
from attnbench.reports.tables.markdown_table import (
    markdown_footnote,
    markdown_legend,
    markdown_parts,
    markdown_rows,
    markdown_text,
)
from attnbench.reports.tables.report import Cell, Column, Report
from attnbench.utils.escape import EscapedText, html_prose, latex, markdown, visible
from attnbench.utils.files import replace_file

FORMATS = ("md", "csv", "tex", "html")
_LATEX_DELIMITERS = {"block": ("<%", "%>"), "variable": ("<<", ">>"), "comment": ("<#", "#>")}


def render(report: Report, form: str) -> str:
    """Return a report as ``md``, ``csv``, ``tex`` (a fragment to include) or ``html``.

    Raises:
        RequestError: the format is unknown.
    """
    if form == "csv":
        return to_csv(report.lines)
    if form not in FORMATS:
        raise unknown("format", form, FORMATS)
    # a report without a title starts with its table
    text = _environment(form).get_template(f"table.{form}.j2").render(report=report)
    return visible(text.lstrip("\n"))


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``table.md``, ``.csv``, ``.tex``, ``.html`` and, if papers are known, ``.bib``.

    Each file is replaced atomically.

    Raises:
        OutputError: a file cannot be written.
    """
    contents = {form: render(report, form) for form in FORMATS}
    contents["bib"] = visible("\n".join(report.bibtex))
    if not report.bibtex:
        with suppress(OSError):  # a folder that cannot be written is reported below
            (folder / "table.bib").unlink(missing_ok=True)
    return [
        replace_file(folder / f"table.{form}", content)
        for form, content in contents.items()
        if content
    ]


@cache
def _environment(form: str) -> Environment:
    escape = {"md": markdown, "tex": latex}.get(form, EscapedText)

    def finalize(value: object) -> EscapedText:
        return value if isinstance(value, EscapedText) else escape(value)

    delimiters: dict[str, Any] = {}
    if form == "tex":  # braces and percent signs are LaTeX's own
        for part, (start, end) in _LATEX_DELIMITERS.items():
            delimiters |= {f"{part}_start_string": start, f"{part}_end_string": end}
    environment = Environment(
        loader=PackageLoader("attnbench.reports.tables"),
        undefined=StrictUndefined,
        autoescape=form == "html",
        finalize=None if form == "html" else finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **delimiters,
    )
    environment.globals |= {
        "heads": group_heads,
        "aligned": _aligned,
        "tex_parts": latex_parts,
        "md_parts": markdown_parts,
        "md_rows": markdown_rows,
        "md_legend": markdown_legend,
        "md_footnote": markdown_footnote,
    }
    environment.filters |= {
        "safe_text": EscapedText,
        "md_text": markdown_text,
        "html_prose": html_prose,
        "tex_cell": latex_cell,
        "tex_head": latex_head,
    }
    return environment


def group_heads(columns: Sequence[Column]) -> list[tuple[str, list[Column]]]:
    """Return the columns by group; a column without a group forms its own, with an empty name."""
    found: list[tuple[str, list[Column]]] = []
    for name, group in groupby(columns, key=lambda column: column.group):
        members = list(group)
        found += [(name, members)] if name else [("", [column]) for column in members]
    return found


def _aligned(row: Sequence[Cell], columns: Sequence[Column]) -> Iterator[tuple[Cell, bool]]:
    """Yield each cell, and whether its first column is numeric."""
    start = 0
    for cell in row:
        yield cell, columns[start].numeric
        start += cell.span
