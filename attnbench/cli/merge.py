"""``attnbench merge``: merging of shards and parts of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attnbench.cli.output import log, log_warning

EXAMPLES = (
    "attnbench merge runs/1/quick runs/2/quick -o merged/quick",
    "attnbench table merged/quick",
)


def command(
    runs: Annotated[list[str], typer.Argument(metavar="RUN ...", help="Folders or files.")],
    output: Annotated[str, typer.Option("-o", "--output", metavar="DIR", help="A new folder.")],
) -> None:
    """Merge runs of one suite into a new folder.

    The tables of the merged run are written, too.
    """
    from attnbench.records.merge import merge
    from attnbench.records.store import find_run
    from attnbench.reports.run_report import write_tables

    merged = merge([find_run(run) for run in runs], Path(output))
    log(f"merged {len(merged.records)} records")
    log_warning(merged)
    log(write_tables(merged, Path(output))[1])
