"""Standard output for results, standard error for everything else."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from attnbench.plugins import Catalog


def say(message: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def print_json(document: Any) -> None:
    """Write one JSON document to standard output."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def console() -> Console:
    """Return the console for text on standard output; piped text is not cut to 80 columns."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 200
    return Console(file=sys.stdout, width=width, highlight=False, emoji=False, markup=False)


def load_catalog(plugins: Sequence[str] | None) -> Catalog:
    """Return the catalog with the given plugin files; say which installed plugins failed.

    Raises:
        PluginError: one of ``plugins`` cannot be loaded.
    """
    from attnbench.plugins import catalog

    found = catalog()
    for path in plugins or ():
        found.load_file(path)
    for failure in found.failures:
        say(f"attnbench: plugin {failure.origin} left out: {failure.reason}")
    return found
