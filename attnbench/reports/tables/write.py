"""Output files of a report, stored beside its records."""

from __future__ import annotations

from pathlib import Path

from attnbench.reports.tables.render import FORMATS, bibtex, render
from attnbench.reports.tables.report import Report
from attnbench.utils.files import replace_file


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``table.md``, ``.csv``, ``.tex``, ``.html`` and, if papers are known, ``.bib``.

    Each file is replaced atomically.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = {form: render(report, form) for form in FORMATS} | {"bib": bibtex(report)}
    if not contents["bib"]:
        (folder / "table.bib").unlink(missing_ok=True)
    return [
        replace_file(folder / f"table.{form}", content)
        for form, content in contents.items()
        if content
    ]
