"""``attnbench report``: runs as one HTML file, to sort, filter and choose from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attnbench.cli.options import Out, Plugins
from attnbench.cli.output import load_catalog, log, log_left_out, stdout_to_stderr

EXAMPLES = (
    "attnbench report quick -o report.html",
    "attnbench report mobilenet-latency digits-accuracy -o report.html",
)


def command(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN ...", help="Suites' names, folders or files.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE.html", help="The file to write.")
    ] = Path("report.html"),
    plugin: Plugins = None,
    *,
    out: Out,
) -> None:
    """Write runs as one interactive HTML file.

    It works without a network: a scatter whose Pareto front respects intervals, a table to sort
    and filter, a budget, and a page for each module.
    """
    from attnbench.records.store import find_run, read_run
    from attnbench.reports.web_report.report_page import write_page

    paths = dict.fromkeys(find_run(name, out).resolve() for name in runs)
    found = [read_run(path) for path in paths]
    log_left_out(*found)
    load_catalog(plugin)
    with stdout_to_stderr():
        write_page(found, output)
    log(f"wrote {output}")
