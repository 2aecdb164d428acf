"""``attnbench cost``: costs of modules, in backbones or alone."""

from __future__ import annotations

from typing import Annotated

import typer

from attnbench.cli.options import (
    Columns,
    Explain,
    Format,
    Json,
    Plugins,
    Wide,
    chosen_format,
    table_view,
)
from attnbench.cli.output import load_catalog, print_json, print_report, stdout_to_stderr
from attnbench.cli.request_grid import (
    Backbones,
    Channels,
    Fused,
    Modules,
    Placements,
    Size,
    forms_of,
    grid_request,
    one_or_arms,
    prepare_request,
    refuse_skipped,
    requested_rows,
    rows_of,
)

EXAMPLES = (
    "attnbench cost -b mobilenet_v2 -m se -m eca -p after:14",
    "attnbench cost -m ulsam,groups=4 --channels 512 --size 14",
)


def command(
    backbone: Backbones = None,
    module: Modules = None,
    placement: Placements = None,
    size: Size = None,
    channels: Channels = None,
    counters: Annotated[
        bool, typer.Option(help="Also count with fvcore, ptflops and torch, and reconcile.")
    ] = True,
    fused: Fused = False,
    plugin: Plugins = None,
    columns: Columns = None,
    wide: Wide = False,
    explain: Explain = False,
    format: Format = None,
    json: Json = False,
) -> None:
    """Count parameters, MACs, activations and bytes.

    Several -b, -m, -p cross into one table; without -b the module alone.
    """
    from attnbench.cli.progress import SilentProgress
    from attnbench.reports.tables.cost_table import arm_of, heads_of_arms, report_of_arms
    from attnbench.reports.terminal import check_columns
    from attnbench.runner.run_suite import measure
    from attnbench.runner.worker_tasks import Measurers, WorkerTasks
    from attnbench.workers.process import InProcessWorker

    chosen = chosen_format(format, json)
    view = table_view(chosen, columns, wide, explain)
    check_columns(heads_of_arms(placed=bool(backbone), counters=counters), view)
    measurers = Measurers(load_catalog(plugin))
    request = grid_request(
        backbone,
        module,
        placement,
        size,
        channels,
        counters=counters,
        forms=forms_of(fused),
    )
    with stdout_to_stderr():
        job = prepare_request("cost", request, measurers)
        refuse_skipped(job)
        run = measure(job, InProcessWorker(WorkerTasks(measurers)), SilentProgress())
    rows = rows_of(job, run)
    if chosen == "json":
        print_json(one_or_arms([arm_of(row.first) for row in requested_rows(rows)]))
    else:
        print_report(report_of_arms([arm_of(row.first) for row in rows]), chosen, view)
