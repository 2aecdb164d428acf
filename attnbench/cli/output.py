"""Standard output for results, standard error for all other messages."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING, Any

from attnbench.errors import RequestError

if TYPE_CHECKING:
    from rich.console import Console

    from attnbench.records.store import Run
    from attnbench.registry.plugins import Catalog
    from attnbench.reports.document import Block
    from attnbench.reports.tables.report import Report


def log(message: str) -> None:
    """Write a line to standard error; a closed stream is ignored."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{message}\n")
        sys.stderr.flush()


def log_warning(run: Run) -> None:
    """Write the warning of a run that was just written, if it has one, to standard error."""
    if run.warning:
        log(f"warning: {run.warning}")


@contextmanager
def writing() -> Iterator[None]:
    """Handle errors of writing to standard output; a closed pipe ends the process silently.

    Raises:
        RequestError: standard output cannot be written.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:  # attnbench ... | head
        _discard_the_rest()
        sys.exit(0)
    except OSError as error:
        _discard_the_rest()
        raise RequestError(f"standard output cannot be written: {error}") from error


def _discard_the_rest() -> None:
    """Discard the buffered output, which Python would otherwise flush again, and fail, at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(document: Any) -> None:
    """Write a JSON document to standard output."""
    with writing():
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def print_report(report: Report, form: str) -> None:
    """Write a report to standard output: ``text``, or one of the file formats."""
    if form == "text":
        from attnbench.reports.terminal import print_report as print_tables

        with writing():
            print_tables(report, console())
    else:
        from attnbench.reports.tables.render import render

        text = render(report, form)
        with writing():
            sys.stdout.write(text)


def print_document(blocks: Iterable[Block], form: str) -> None:
    """Write the blocks of a document to standard output, as ``md`` or plain ``text``."""
    if form == "md":
        from attnbench.reports.document import to_markdown as written
    else:
        from attnbench.reports.terminal import to_text as written
    with writing():
        sys.stdout.write(written(blocks))


def console() -> Console:
    """Return the console for text on standard output; in a pipe, lines are not wrapped."""
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with 1; `writing` exits silently

    width = None if sys.stdout.isatty() else 1000
    return Plain(file=sys.stdout, width=width, highlight=False, emoji=False, markup=False)


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Redirect the output of plugins and models, including C code, to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def load_catalog(plugins: Sequence[str] | None) -> Catalog:
    """Return the catalog with the given plugin files; report the failed installed plugins.

    Raises:
        PluginError: a file of ``plugins`` cannot be loaded.
    """
    from attnbench.registry.plugins import catalog

    with stdout_to_stderr():
        found = catalog()
        for path in plugins or ():
            found.load_file(path)
    log_plugin_failures(found)
    return found


def log_plugin_failures(catalog: Catalog, already: int = 0) -> None:
    """Report the failed plugins, except the first ``already`` failures."""
    for failure in catalog.failures[already:]:
        log(f"attnbench: plugin {failure.origin} left out: {failure.reason}")
