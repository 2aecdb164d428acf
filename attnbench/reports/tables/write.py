"""Writing a report beside its records."""

from __future__ import annotations

import os
from pathlib import Path

from attnbench.reports.tables.render import FORMATS, bibtex, render
from attnbench.reports.tables.report import Report


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``table.md``, ``.csv``, ``.tex``, ``.html`` and, where papers are known, ``.bib``.

    Every file is complete at any instant: the old one, or the new one.
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


def replace_file(path: Path, content: str) -> Path:
    """Put a text file in place of an older one in one step."""
    # in the same folder, as a rename works within one file system only
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(content, encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
