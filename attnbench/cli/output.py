"""Standard output for results, standard error for everything else."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

    from attnbench.plugins import Catalog
    from attnbench.tables.model import Report


def say(message: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def print_json(document: Any) -> None:
    """Write one JSON document to standard output."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def print_report(report: Report, form: str) -> None:
    """Write a report to standard output: ``text``, or one of the file formats."""
    if form == "text":
        from attnbench.tables.text import print_text

        print_text(report, console())
    else:
        from attnbench.tables.render import render

        sys.stdout.write(render(report, form))


def console() -> Console:
    """Return the console for text on standard output; a pipe takes lines of any length."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 1000
    return Console(file=sys.stdout, width=width, highlight=False, emoji=False, markup=False)


def guests() -> redirect_stdout[TextIO]:
    """Return a context in which what plugins and models print goes to standard error."""
    return redirect_stdout(sys.stderr)


def load_catalog(plugins: Sequence[str] | None) -> Catalog:
    """Return the catalog with the given plugin files; say which installed plugins failed.

    Raises:
        PluginError: one of ``plugins`` cannot be loaded.
    """
    from attnbench.plugins import catalog

    with guests():
        found = catalog()
        for path in plugins or ():
            found.load_file(path)
    say_failures(found)
    return found


def say_failures(catalog: Catalog, already: int = 0) -> None:
    """Say which plugins failed, the first ``already`` ones having been said before."""
    for failure in catalog.failures[already:]:
        say(f"attnbench: plugin {failure.origin} left out: {failure.reason}")
