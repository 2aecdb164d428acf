"""``attnbench table``: table of a run, from its records alone."""

from __future__ import annotations

from typing import Annotated

import typer

from attnbench.cli.options import (
    Columns,
    Explain,
    Format,
    Json,
    Out,
    Wide,
    chosen_format,
    table_view,
)
from attnbench.cli.output import log_left_out, print_json, print_report

EXAMPLES = (
    "attnbench table quick",
    "attnbench table results/quick --format csv",
)


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A suite's name, folder or file.")],
    columns: Columns = None,
    wide: Wide = False,
    explain: Explain = False,
    format: Format = None,
    json: Json = False,
    *,
    out: Out,
) -> None:
    """Print the table of a run.

    Nothing is measured and no plugin is needed.
    """
    from attnbench.records.store import find_run, read_run
    from attnbench.reports.run_report import report_of
    from attnbench.reports.tables.long_format import printed_figures

    chosen = chosen_format(format, json)
    view = table_view(chosen, columns, wide, explain)
    found = read_run(find_run(run, out))
    log_left_out(found)
    report = report_of(found)
    if chosen == "json":
        printed = printed_figures(report.lines)
        records = {name: record.model_dump(mode="json") for name, record in found.records.items()}
        extra = {name: {"printed": printed[name]} for name in records.keys() & printed}
        print_json([record | extra.get(name, {}) for name, record in records.items()])
    else:
        print_report(report, chosen, view)
