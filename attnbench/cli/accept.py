"""``attnbench accept``: update of the baseline by intended changes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.cli.compare import places
from attnbench.cli.options import Out
from attnbench.cli.output import log, log_left_out
from attnbench.errors import AttnbenchError, RecordError

if TYPE_CHECKING:
    from attnbench.registry.settings import ProjectSettings


EXAMPLES = (
    'attnbench accept results/quick attnbench-results/quick --reason "torch 2.15"',
    'attnbench accept attnbench-results/quick "cost/*" --reason "fvcore 0.2"',
)


def command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[BASE] NEW [CASE ...]",
            help="Runs as for compare, and cases by name or glob; default: all that differ.",
        ),
    ],
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Reason, stored in the file.")
    ],
    *,
    out: Out,
) -> None:
    """Accept what changed into the baseline.

    The baseline's file keeps the reason and the values before.
    """
    from attnbench.records.store import read_run
    from attnbench.registry.settings import settings
    from attnbench.regression.compare.accept import accept
    from attnbench.utils.text import shown_path

    settled = settings()
    count = 2 if _names_both(words, out, settled) else 1
    base, new = places(words[:count], out, settled)
    log_left_out(read_run(base), read_run(new))
    taken = accept(base, new, words[count:], reason, settled.gates)
    for case in taken:
        log(f"accepted {case}")
    if not taken:
        log(f"no difference; {shown_path(base)} is unchanged")
    elif (base.parent / "table.md").is_file():
        _write_tables(base)


def _names_both(words: list[str], out: str, settled: ProjectSettings) -> bool:
    """Return whether the second word is a run; with a baseline in the settings, it is a case."""
    from attnbench.records.store import find_run

    if len(words) == 1:
        return False
    if settled.baseline is None:
        return True
    try:
        find_run(words[1], out)
    except RecordError:
        return False
    return True


def _write_tables(base: Path) -> None:
    """Write the baseline's tables again; a failure does not undo the update of the baseline."""
    from attnbench.records.store import read_run
    from attnbench.reports.run_report import write_tables

    try:
        log(write_tables(read_run(base), base.parent)[1])
    except (AttnbenchError, OSError) as error:
        log(f"attnbench: accepted, but the tables cannot be updated: {error}")
