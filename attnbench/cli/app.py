"""Commands and the handling of their errors. Torch is imported only when needed."""

from __future__ import annotations

import gc
import sys
from typing import Any

import typer

from attnbench.cli import (
    accept,
    accuracy,
    activations,
    check,
    choose,
    ci,
    compare,
    cost,
    doctor,
    explain,
    export,
    history,
    latency,
    merge,
    new,
    overview,
    report,
    run,
    schema,
    show,
    table,
)
from attnbench.cli import list as listing
from attnbench.cli.help_pages import HelpfulCommand, HelpfulGroup
from attnbench.cli.output import (
    log,
    log_notes,
    open_closed_streams,
    replace_unknown_characters,
    write,
)
from attnbench.cli.signals import INTERRUPTED, STATUS
from attnbench.errors import AttnbenchError
from attnbench.utils.forked_trial import trials
from attnbench.utils.text import import_problem, shorten, shown_path

_LONGEST_PATH = 500


class _Commands(HelpfulGroup):
    def invoke(self, ctx: Any) -> Any:
        """Run a command; report an interruption that it has not reported itself."""
        try:
            with trials():
                return super().invoke(ctx)
        except KeyboardInterrupt as error:
            _log_interruption(error)
            raise typer.Exit(STATUS) from None
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
    "Explore": (listing, show, explain),
    "Measure": (cost, latency, accuracy, choose, run),
    "Report": (report, table, overview, merge, activations),
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
    open_closed_streams()
    replace_unknown_characters()
    # records are many objects and hardly ever garbage: looking for it is an eighth of the time
    gc.set_threshold(100_000, 50, 50)
    try:
        app()
    except KeyboardInterrupt as error:  # before a command has started
        _log_interruption(error)
        sys.exit(STATUS)
    except AttnbenchError as error:
        log(f"attnbench: {error}")
        sys.exit(2)
    except (OSError, ImportError, MemoryError) as error:  # of the machine, not of attnbench
        log(f"attnbench: {_problem(error)}")
        sys.exit(2)


def _log_interruption(error: KeyboardInterrupt) -> None:
    log(f"{INTERRUPTED} {error}".rstrip())


def _problem(error: OSError | ImportError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return "out of memory. Free some, or raise the limit (ulimit -v)"
    if isinstance(error, ImportError):
        return import_problem(error)
    if not error.filename:
        return shorten(str(error.strerror or error))
    place = shorten(shown_path(error.filename), _LONGEST_PATH)
    return shorten(f"{place} cannot be used: {error.strerror or error}")
