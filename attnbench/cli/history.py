"""``attnbench history``: change points over many runs, with their commits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attnbench.cli.options import Columns, Json, Wide, chosen_format, table_view
from attnbench.cli.output import log, print_json, print_report
from attnbench.errors import RequestError

EXAMPLES = (
    "attnbench history runs",
    "attnbench history runs --metric overhead -o history.png",
)

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder that contains the runs, at any depth.")
]
Cases = Annotated[
    list[str] | None,
    typer.Option("--case", metavar="GLOB", help="Only cases that match; repeats."),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", metavar="NAME", help="params, overhead, top1 ...; repeats."),
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write a .png, .pdf or .svg figure."),
]
Export = Annotated[
    Path | None,
    typer.Option(
        "--export",
        metavar="FILE.json",
        help="The last run for github-action-benchmark (customSmallerIsBetter).",
    ),
]
Format = Annotated[
    str | None, typer.Option("--format", metavar="FORMAT", help="text, json, md or csv.")
]


def command(
    folder: Folder,
    case: Cases = None,
    metric: Metrics = None,
    output: Output = None,
    export: Export = None,
    columns: Columns = None,
    wide: Wide = False,
    format: Format = None,
    json: Json = False,
) -> None:
    """Find what changed over runs of many commits.

    With the first commit after each change.
    """
    from attnbench.regression.history.report_data import find_changes
    from attnbench.regression.history.runs import read_history
    from attnbench.regression.history.series import collect

    chosen = chosen_format(format, json, ("text", "json", "md", "csv"))
    view = table_view(chosen, columns, wide)
    history = read_history(folder)
    series = collect(history, case or [], metric or [])
    if not series:
        raise RequestError(
            f"no metric that can change: the runs below {folder} have none for these cases"
        )
    found = find_changes(history, series)
    for note in found.history.notes:
        log(f"attnbench: {note}")
    if output is not None:
        from attnbench.regression.history.figure import draw_history
        from attnbench.reports.figures.figure_files import save

        log(f"wrote {save(draw_history(found, f'History of {folder}'), output)}")
    if export is not None:
        from attnbench.regression.history.github_benchmark import write

        count = write(found, export)
        log(f"wrote {count} values to {export}")
    if chosen == "json":
        print_json(found.to_json())
    else:
        from attnbench.regression.history.report import report

        print_report(report(found, str(folder)), chosen, view)
