"""The interactive report as one HTML file: libraries, styles and data inside, no network."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from attnbench.records.store import Run
from attnbench.reports.web_report.module_sections import with_sections
from attnbench.reports.web_report.report_data import report_data
from attnbench.utils.files import atomic_write

LIBRARIES = ("d3.min.js", "plot.umd.min.js", "table-core.min.js")
"""Vendored scripts, in the order in which they are loaded."""


def write_page(runs: Sequence[Run], path: Path, title: str = "") -> None:
    """Write the report of runs.

    Raises:
        OutputError: the file cannot be written.
    """
    text = render_page(report_data(runs).to_json(), title or ", ".join(map(_name, runs)))
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _name(run: Run) -> str:
    return run.header.suite_name


def render_page(data: dict[str, Any], title: str) -> str:
    """Return the page. The data is base64 of gzip, so that no text of it can end the script."""
    packed = gzip.compress(json.dumps(with_sections(data)).encode(), mtime=0)
    scripts = [*(_asset(f"vendor/{name}") for name in LIBRARIES), _asset("report.js")]
    page = Environment(autoescape=True).from_string(_asset("page.html.j2"))
    return page.render(
        title=title,
        hashes=Markup(" ".join(map(_hash, scripts))),
        style=Markup(_asset("report.css")),
        scripts=[Markup(script) for script in scripts],
        data=base64.b64encode(packed).decode(),
    )


def _asset(name: str) -> str:
    text = files("attnbench.reports.web_report").joinpath("assets", name).read_text("utf-8")
    # a map of a script's source is a request for another file
    return "\n".join(line for line in text.splitlines() if not line.startswith("//# source"))


def _hash(script: str) -> str:
    """Return the source expression of a script for the content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
