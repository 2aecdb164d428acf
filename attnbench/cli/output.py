"""Standard output for results, standard error for all other messages.

Nothing else writes to them: what passes here steers no terminal, whoever wrote it.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from io import FileIO, TextIOWrapper
from typing import TYPE_CHECKING, Any, TextIO

from attnbench.errors import RequestError
from attnbench.utils.escape import json_text, visible
from attnbench.utils.process_settings import setting_changes

if TYPE_CHECKING:
    from rich.console import Console

    from attnbench.records.store import Run
    from attnbench.registry.plugins import Catalog
    from attnbench.reports.document import Block
    from attnbench.reports.table_view import TableView
    from attnbench.reports.tables.report import Report


def open_closed_streams() -> None:
    """Open the null device in place of each standard stream that the caller has closed.

    Standard output cannot be written then, as on a full disk; messages are lost.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            if null == number:
                os.set_inheritable(null, True)
            else:
                os.dup2(null, number)
                os.close(null)
            raw = FileIO(number, "r" if name == "stdin" else "w", closefd=False)
            # without a buffer, which Python would flush again, and fail, at exit
            setattr(sys, name, TextIOWrapper(raw, "utf-8", write_through=True))


def replace_unknown_characters() -> None:
    """Write a question mark for each character that a stream's encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors="replace")


def log(message: str) -> None:
    """Write a line to standard error; a closed stream is ignored."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{visible(message)}\n")
        sys.stderr.flush()


def can_overwrite(stream: TextIO) -> bool:
    """Return whether a stream is a terminal whose lines can be replaced: not a dumb one."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def command_to_go_on() -> str:
    """Return the command that goes on after an interruption: the same one, but without --fresh."""
    words = [word for word in sys.argv[1:] if word != "--fresh"]
    return "the same command" if words == sys.argv[1:] else shlex.join(["attnbench", *words])


def log_warning(run: Run) -> None:
    """Write the warning of a run that was just measured, and its notes, to standard error."""
    log_left_out(run)
    if run.warning:
        log(f"warning: {run.warning}")
    log_notes(note for record in run.records.values() for note in record.notes)


def log_left_out(*runs: Run) -> None:
    """Write which damaged records of runs are left out to standard error, each once."""
    log_once(reason for run in runs for reason in run.left_out.values())


def log_notes(notes: Iterable[str] = ()) -> None:
    """Write what plugins and modules have changed, here and in workers, each change once."""
    log_once((*(change.text for change in setting_changes()), *notes))


def log_once(texts: Iterable[str]) -> None:
    """Write each text to standard error that has not been written yet."""
    for text in texts:
        if text not in _LOGGED:
            _LOGGED.add(text)
            log(f"attnbench: {text}")


_LOGGED: set[str] = set()
_UNLIMITED = 100_000
"""Width of a pipe, in characters."""
_USUAL = 80


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


def write(text: str) -> None:
    """Write text to standard output."""
    with writing():
        sys.stdout.write(visible(text))


def print_json(document: Any) -> None:
    """Write a JSON document to standard output."""
    write(json_text(document) + "\n")


def print_report(report: Report, form: str, view: TableView | None = None) -> None:
    """Write a report to standard output: ``text``, or one of the file formats."""
    if form == "text":
        from attnbench.reports.terminal import print_report as print_tables

        with writing():
            print_tables(report, console(), view)
    else:
        from attnbench.reports.tables.render import render

        write(render(report, form))


def print_document(blocks: Iterable[Block], form: str) -> None:
    """Write the blocks of a document to standard output, as ``md`` or plain ``text``."""
    if form == "md":
        from attnbench.reports.document import to_markdown

        write(to_markdown(blocks))
    else:
        from attnbench.reports.terminal import print_blocks

        with writing():
            print_blocks(blocks, console())


def console(stream: TextIO | None = None) -> Console:
    """Return the console for text, on standard output.

    In a pipe lines are not wrapped and tables have all columns, unless COLUMNS is set.
    """
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with 1; `writing` exits silently

        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(visible(text), **options)

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterator[Segment]:
            for text, style, control in super().render(renderable, options):
                # styles and the moves of a progress bar are ours; texts may be anyone's
                yield Segment(text if control else visible(text), style, control)

    target: TextIO = stream or sys.stdout
    return Plain(file=target, width=_width(target), highlight=False, emoji=False, markup=False)


def _width(stream: TextIO) -> int | None:
    """Return the width of a stream in characters; None where the terminal gives it."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns):
        return int(columns)
    if not stream.isatty():
        return _UNLIMITED
    return _USUAL if columns.isdigit() else None  # rich takes 0 at its word


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
    log_notes()
    return found


def log_plugin_failures(catalog: Catalog, already: int = 0) -> None:
    """Report the failed plugins, except the first ``already`` failures."""
    for failure in catalog.failures[already:]:
        log(f"attnbench: plugin {failure.origin} left out: {failure.reason}")
