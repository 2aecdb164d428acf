"""Rendering of a report as Markdown, CSV, LaTeX or HTML, and its files beside the records."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from attnbench.errors import unknown
from attnbench.reports.tables.long_format import to_csv
from attnbench.reports.tables.report import Cell, Column, Report
from attnbench.utils.escape import EscapedText, latex, markdown, visible
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
    environment.globals |= {"heads": group_heads, "rules": group_rules, "aligned": _aligned}
    environment.filters |= {
        "safe_text": EscapedText,
        "md_cell": _markdown_cell,
        "tex_cell": _latex_cell,
        "tex_head": _latex_head,
        "tex_group": _latex_group,
    }
    return environment


def group_heads(columns: Sequence[Column]) -> list[tuple[str, list[Column]]]:
    """Return the columns by group; a column without a group forms its own, with an empty name."""
    found: list[tuple[str, list[Column]]] = []
    for name, group in groupby(columns, key=lambda column: column.group):
        members = list(group)
        found += [(name, members)] if name else [("", [column]) for column in members]
    return found


def group_rules(columns: Sequence[Column]) -> list[tuple[int, int]]:
    """Return the first and last column of each named group, counted from 1."""
    groups = group_heads(columns)
    ends = accumulate(len(members) for _, members in groups)
    spans = zip(groups, ends, strict=True)
    return [(end - len(members) + 1, end) for (name, members), end in spans if name]


def _aligned(row: Sequence[Cell], columns: Sequence[Column]) -> Iterator[tuple[Cell, bool]]:
    """Yield each cell, and whether its first column is numeric."""
    start = 0
    for cell in row:
        yield cell, columns[start].numeric
        start += cell.span


def _markdown_cell(cell: Cell) -> EscapedText:
    text = markdown(cell.plain)
    if cell.citation:
        text = EscapedText(f"{text} {markdown(f'[{cell.citation}]')}")
    if cell.bold:
        text = EscapedText(f"**{text}**")
    notes = f" <sup>{','.join(map(str, cell.notes))}</sup>" if cell.notes else ""
    # Markdown has no cells across columns: the first cell holds the text
    return EscapedText(f"{text}{notes}" + " |" * (cell.span - 1))


def _latex_cell(cell: Cell) -> EscapedText:
    text = cell.tex or (_stacked(cell) if cell.verdict else latex(cell.plain))
    if cell.bold:
        text = rf"\textbf{{{text}}}"
    if re.fullmatch(r"[A-Za-z0-9:_-]+", cell.cite):
        text = rf"{text}~\cite{{{cell.cite}}}"
    if cell.notes:
        text += rf"\textsuperscript{{{','.join(map(str, cell.notes))}}}"
    return EscapedText(rf"\multicolumn{{{cell.span}}}{{c}}{{{text}}}" if cell.span > 1 else text)


def _stacked(cell: Cell) -> EscapedText:
    """Return the figures stacked above their verdict, which keeps the table narrow."""
    figures = f"{cell.printed} / {cell.ours}" if cell.ours else cell.printed
    return EscapedText(rf"\shortstack[r]{{{latex(figures)} \\ \scriptsize {latex(cell.verdict)}}}")


def _latex_head(column: Column) -> EscapedText:
    units = (rf"\scriptsize {latex(part)}" for part in _broken(column.unit))
    return _shortstack([latex(column.head), *units])


def _latex_group(name: str) -> EscapedText:
    return _shortstack([latex(part) for part in _broken(name, 30)])


def _shortstack(lines: Sequence[str]) -> EscapedText:
    text = r" \\ ".join(lines)
    return EscapedText(rf"\shortstack{{{text}}}" if len(lines) > 1 else text)


def _broken(text: str, width: int = 18) -> list[str]:
    """Break a text into lines of ``width`` characters, spaces aside; long words stay whole."""
    return textwrap.wrap(text, width + 1, break_long_words=False, break_on_hyphens=False)
