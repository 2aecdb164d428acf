"""Commands and the handling of their errors. Torch is imported only when needed."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any

import typer

from attnbench.cli import (
    accept,
    accuracy,
    activations,
    check,
    ci,
    compare,
    cost,
    doctor,
    export,
    history,
    latency,
    merge,
    new,
    overview,
    run,
    schema,
    show,
    table,
)
from attnbench.cli import list as listing
from attnbench.cli.help_pages import HelpfulCommand, HelpfulGroup
from attnbench.cli.output import log, log_notes, open_closed_streams, write
from attnbench.errors import AttnbenchError
from attnbench.registry.import_guard import plugin_being_loaded
from attnbench.utils.text import import_problem, shorten, shown_path

_INTERRUPTED = "attnbench: interrupted"
_exit = os._exit  # plugins are imported without it
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_ENDING = {getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)}
"""Signals that end a command in order: Ctrl-C, `kill` and `timeout`, a closed terminal."""
_LONGEST_PATH = 500
_IMPORTER = "<frozen importlib._bootstrap>"


class _Commands(HelpfulGroup):
    def invoke(self, ctx: Any) -> Any:
        """Run a command; report an interruption that it has not reported itself."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            log(_INTERRUPTED)
            raise typer.Exit(130) from None
        finally:
            log_notes()


app = typer.Typer(
    name="attnbench",
    cls=_Commands,
    help="Benchmark attention modules in compact CNNs: cost, latency, accuracy and tables.",
    epilog="attnbench cost -b mobilenet_v2 -m se -p after:14\nattnbench latency --help",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
GROUPS = {
    "Explore": (listing, show),
    "Measure": (cost, latency, accuracy, run),
    "Report": (table, overview, merge, activations),
    "Guard": (compare, accept, ci, history, check),
    "Extend": (new, export, doctor, schema),
}
"""Commands by what they are for: a file each, named like the command."""
for group, files in GROUPS.items():
    for file in files:
        name, examples = file.__name__.rpartition(".")[2], "\n".join(file.EXAMPLES)
        declare = app.command(name, cls=HelpfulCommand, rich_help_panel=group, epilog=examples)
        declare(file.command)


@app.callback(invoke_without_command=True)
def _options(
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
) -> None:
    if version:
        from importlib.metadata import version as of

        write(f"attnbench {of('attnbench')}\n")
        raise typer.Exit


def main() -> None:
    """Run the command line; a user error yields one line on standard error and status 2."""
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, or a shell's background
            signal.signal(number, _interrupt)
    open_closed_streams()
    try:
        app()
    except KeyboardInterrupt:  # before a command has started
        log(_INTERRUPTED)
        sys.exit(130)
    except AttnbenchError as error:
        log(f"attnbench: {error}")
        sys.exit(2)
    except (OSError, ImportError, MemoryError) as error:  # of the machine, not of attnbench
        log(f"attnbench: {_problem(error)}")
        sys.exit(2)


def _problem(error: OSError | ImportError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return "out of memory. Free some, or raise the limit (ulimit -v)"
    if isinstance(error, ImportError):
        return import_problem(error)
    if not error.filename:
        return shorten(str(error.strerror or error))
    place = shorten(shown_path(error.filename), _LONGEST_PATH)
    return shorten(f"{place} cannot be used: {error.strerror or error}")


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End the command: the worker is terminated and the records are kept."""
    # `timeout` sends its signal twice, and the second must not interrupt the shutdown; Ctrl-C may
    for ignored in _ENDING - {signal.SIGINT}:
        signal.signal(ignored, signal.SIG_IGN)
    if _is_importing(frame):  # libraries swallow an exception there, and fail later
        place = plugin_being_loaded()
        log(f"{_INTERRUPTED} while loading plugin {place}" if place else _INTERRUPTED)
        _exit(130)
    raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTER:
            return True
        frame = frame.f_back
    return False
