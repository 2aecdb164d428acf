"""``attnbench latency``: latency of modules in the runtimes of deployments."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnbench.cli.options import (
    Budget,
    Columns,
    Explain,
    Format,
    Json,
    Plugins,
    Wide,
    chosen_format,
    table_view,
)
from attnbench.cli.output import (
    load_catalog,
    log,
    log_warning,
    print_json,
    print_report,
    stdout_to_stderr,
)
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
    planned_rows,
    prepare_request,
    refuse_skipped,
    requested_rows,
    rows_of,
)
from attnbench.errors import RequestError, unknown

if TYPE_CHECKING:
    from attnbench.reports.table_view import TableView
    from attnbench.reports.tables.case_results import LatencyCell
    from attnbench.reports.tables.row_views import RowView
    from attnbench.runner.job import Job


EXAMPLES = (
    "attnbench latency -b mobilenet_v2 -m se -m eca -p after:14",
    "attnbench latency -b mobilenet_v2 -p after:14 -m se --runtime onnxruntime",
)

Runtime = Annotated[
    str, typer.Option("--runtime", metavar="NAME,...", help="See: attnbench list runtimes.")
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps ...")]
Precision = Annotated[
    str, typer.Option("--precision", metavar="NAME,...", help="fp32, tf32, bf16, fp16, int8.")
]
Batch = Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Images at once.")]
Threads = Annotated[int, typer.Option("--threads", metavar="N", min=1, help="Of the processor.")]
Cold = Annotated[
    bool, typer.Option("--cold", help="CUDA: overwrite the cache before each call; see --graph.")
]
Graph = Annotated[bool, typer.Option("--graph", help="CUDA: replay each call as a CUDA graph.")]
Processes = Annotated[
    int,
    typer.Option(
        "--processes", metavar="N", min=1, help="Fresh processes to pool, each with --budget."
    ),
]


def command(
    backbone: Backbones = None,
    module: Modules = None,
    placement: Placements = None,
    runtime: Runtime = "eager",
    device: Device = "cpu",
    precision: Precision = "fp32",
    batch: Batch = 1,
    threads: Threads = 1,
    cold: Cold = False,
    graph: Graph = False,
    processes: Processes = 1,
    size: Size = None,
    channels: Channels = None,
    fused: Fused = False,
    plugin: Plugins = None,
    columns: Columns = None,
    wide: Wide = False,
    explain: Explain = False,
    format: Format = None,
    json: Json = False,
    *,
    budget: Budget,
) -> None:
    """Time modules beside the plain backbone.

    All arms are interleaved in random order; several -b, -m, -p cross.
    """
    from attnbench.runner.worker_tasks import Measurers

    chosen = chosen_format(format, json)
    view = table_view(chosen, columns, wide, explain)
    if not 0 < budget < float("inf"):
        raise RequestError(f"--budget must be a number of seconds above 0: got {budget}")
    measurers = Measurers(load_catalog(plugin))
    names, precisions = _runtimes(runtime), _precisions(precision)
    request = grid_request(backbone, module, placement, size, channels, forms=forms_of(fused))
    settings = {
        "runtimes": names,
        "precisions": precisions,
        "batch": batch,
        "threads": threads,
        "device": device,
        "cold": cold,
        "graph": graph,
        "budget_s": float(budget),
        "processes": processes,
    }
    with stdout_to_stderr():
        job = prepare_request("latency", request, measurers, settings)
        _report_skipped(job)
    _check_columns(job, view)
    rows = _measure(job, plugin or [])
    _print(rows, chosen, processes, view)
    if any(cell.status == "failed" for row in requested_rows(rows) for cell in row.timed):
        sys.exit(1)


def _check_columns(job: Job, view: TableView) -> None:
    """Check the names of ``--columns`` before anything is measured."""
    from attnbench.reports.tables.latency_table import report_of_sessions
    from attnbench.reports.terminal import check_columns

    if view.columns:
        cells = [cell for row in planned_rows(job) for cell in row.timed]
        check_columns(report_of_sessions(cells, 1), view)


def _measure(job: Job, plugins: Sequence[str]) -> list[RowView]:
    from attnbench.cli.progress import progress
    from attnbench.runner.run_suite import measure
    from attnbench.runner.worker_main import new_worker

    with new_worker(plugins) as worker:
        run = measure(job, worker, progress())
    log_warning(run)
    return rows_of(job, run)


def _print(rows: Sequence[RowView], form: str, processes: int, view: TableView) -> None:
    from attnbench.reports.tables.latency_table import report_of_sessions

    if form == "json":
        print_json(one_or_arms([_arm(row) for row in requested_rows(rows)]))
    else:
        # the plain networks, which are the baseline of each table, come last in the CSV
        arms = requested_rows(rows)
        cells = [cell for row in arms for cell in row.timed]
        plain = [cell for row in rows if row not in arms for cell in row.timed]
        cells += [cell for cell in plain if cell.status != "skipped"]
        print_report(report_of_sessions(cells, processes), form, view)


def _runtimes(text: str) -> list[str]:
    from attnbench.runtimes.registry import runtime as find_runtime

    names = _split(text, "--runtime")
    for name in names:
        find_runtime(name)
    return names


def _precisions(text: str) -> list[str]:
    from attnbench.runtimes.runtime import PRECISIONS

    names = _split(text, "--precision")
    for name in names:
        if name not in PRECISIONS:
            raise unknown("--precision", name, PRECISIONS)
    return names


def _split(text: str, option: str) -> list[str]:
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise RequestError(f"{option} contains no name: got {text!r}")
    return names


def _report_skipped(job: Job) -> None:
    """Report skipped cases; raise :class:`RequestError` if nothing else is left."""
    if len(job.skipped) == len(job.cases):
        refuse_skipped(job)
    for reason in dict.fromkeys(job.skipped.values()):
        log(f"attnbench: skipped: {reason}")


def _arm(row: RowView) -> dict[str, Any]:
    """Return the JSON object of an arm."""
    case = row.first.case
    first = row.timed[0].conditions.precision
    runtimes = {}
    for cell in row.timed:
        # the key of the first requested precision is the name of the runtime alone
        precision = cell.conditions.precision
        further = f",precision={precision}" if precision != first else ""
        runtimes[f"{cell.conditions.runtime}{further}"] = _runtime(cell)
    return {
        "name": case.network,
        "backbone": case.backbone,
        "module": case.module,
        "placement": case.placement,
        "sites": len(row.first.slots) or max(len(cell.slots) for cell in row.timed),
        "channels": case.channels,
        "size": list(case.size),
        "form": "fused" if case.fused else "plain",
        "baseline": "plain backbone" if case.backbone else "one pass over the map",
        "runtimes": runtimes,
    }


def _runtime(cell: LatencyCell) -> dict[str, Any]:
    from attnbench.reports.tables.long_format import latency_fields

    if cell.timing is None:
        return {"status": cell.status, "reason": cell.reason, **cell.notes}
    facts = {key: cell.runtime.get(key) for key in ("versions", "processor", "isa", "fallbacks")}
    return {"status": "ok", **latency_fields(cell), **facts, **cell.notes}
