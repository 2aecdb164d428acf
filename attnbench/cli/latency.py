"""``attnbench latency``: latency of modules in the runtimes of deployments."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnbench.cli.options import Budget, Format, Json, Plugins, chosen_format
from attnbench.cli.output import guests, load_catalog, print_json, print_report, say
from attnbench.cli.request_grid import (
    Backbones,
    Channels,
    Fused,
    GridRequest,
    Modules,
    Placements,
    Size,
    cases_of,
)
from attnbench.errors import MissingExtraError, RequestError

if TYPE_CHECKING:
    from attnbench.registry.plugins import Catalog
    from attnbench.reports.tables.latency_results import LatencyCell
    from attnbench.suites.case import Case
    from attnbench.suites.conditions import Conditions

Records = dict[str, Mapping[str, Any]]


def command(
    backbone: Backbones = None,
    module: Modules = None,
    placement: Placements = None,
    runtime: Annotated[
        str, typer.Option("--runtime", metavar="NAME,...", help="See: attnbench list runtimes.")
    ] = "eager",
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps ...")] = "cpu",
    precision: Annotated[
        str, typer.Option("--precision", metavar="NAME,...", help="fp32, bf16, int8.")
    ] = "fp32",
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images at once.")] = 1,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Of the processor.")] = 1,
    cold: Annotated[
        bool, typer.Option("--cold", help="CUDA: overwrite the cache before each call.")
    ] = False,
    graph: Annotated[
        bool, typer.Option("--graph", help="CUDA: replay each call as a CUDA graph.")
    ] = False,
    processes: Annotated[
        int, typer.Option("--processes", min=1, help="Fresh processes to pool, each with --budget.")
    ] = 1,
    size: Size = None,
    channels: Channels = None,
    fused: Fused = False,
    plugin: Plugins = None,
    format: Format = None,
    json: Json = False,
    *,
    budget: Budget,
) -> None:
    """Time modules beside the plain backbone, interleaved; several -b, -m, -p cross."""
    chosen = chosen_format(format, json)
    if not 0 < budget < float("inf"):
        raise RequestError(f"--budget {budget} must be a number of seconds above 0")
    catalog = load_catalog(plugin)
    alike = {"device": device, "threads": threads, "cold": cold, "graph": graph}
    conditions = _conditions(runtime, precision, batch, alike)
    request = GridRequest(
        backbone or [], module or [], placement or [], size, channels, fused=fused
    )
    with guests():
        cases = cases_of(request, catalog)
        measurable, skipped = _checked(cases, conditions, catalog)
    requested = [case.for_latency(condition) for case in cases for condition in conditions]
    records = _measured(measurable, skipped, budget, processes, plugin or [])
    results = _results([*requested, *_plain(requested)], records)
    if chosen == "json":
        arms = [_arm(case, conditions, results) for case in cases]
        print_json(arms[0] if len(arms) == 1 else {"arms": arms})
    else:
        from attnbench.reports.tables.latency_table import report_of_sessions

        print_report(report_of_sessions(list(results.values()), processes), chosen)
    if any(results[case.name].status == "failed" for case in requested):
        sys.exit(1)


def _conditions(
    runtimes: str, precisions: str, batch: int, alike: Mapping[str, Any]
) -> list[Conditions]:
    from attnbench.runtimes.registry import runtime as find_runtime
    from attnbench.suites.conditions import PRECISIONS, Conditions

    names = _listed(runtimes, "--runtime")
    for name in names:
        find_runtime(name)
    kinds = _listed(precisions, "--precision")
    for kind in kinds:
        if kind not in PRECISIONS:
            raise RequestError(f"--precision {kind!r} is none of {', '.join(PRECISIONS)}")
    return [Conditions(name, batch, kind, **alike) for kind in kinds for name in names]


def _listed(text: str, option: str) -> list[str]:
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise RequestError(f"{option} {text!r} names nothing")
    return names


def _checked(
    cases: Sequence[Case], conditions: Sequence[Conditions], catalog: Catalog
) -> tuple[list[Case], dict[str, str]]:
    """Return the measurable latency cases and the reasons for the skipped cases."""
    from attnbench.measure.cost import CostMeter
    from attnbench.measure.latency import LatencyMeter

    meter = LatencyMeter(CostMeter(catalog))
    measurable: list[Case] = []
    skipped: dict[str, str] = {}
    for timed in (case.for_latency(condition) for condition in conditions for case in cases):
        try:
            meter.check(timed)
        except MissingExtraError as error:
            skipped[timed.name] = str(error)
        else:
            measurable.append(timed)
    if not measurable:
        raise RequestError("; ".join(dict.fromkeys(skipped.values())))
    for reason in dict.fromkeys(skipped.values()):
        say(f"attnbench: skipped: {reason}")
    return measurable, skipped


def _measured(
    cases: Sequence[Case],
    skipped: Mapping[str, str],
    budget: float,
    processes: int,
    plugins: Sequence[str],
) -> Records:
    from attnbench.runner.latency_sessions import Session, SessionProtocol, SessionRunner, sessions
    from attnbench.runner.worker_main import new_worker

    records: Records = {
        name: {"status": "skipped", "reason": reason} for name, reason in skipped.items()
    }
    with (
        new_worker(plugins) as worker,
        tempfile.TemporaryDirectory(prefix="attnbench-") as folder,
        SessionRunner(worker, Path(folder)) as runner,
    ):
        worker.start()  # the worker imports torch during the proofs of the first session
        for session in sessions(cases):
            # the plain network is also a row: its A/A ratio shows the noise floor
            whole = Session(tuple(dict.fromkeys((session.plain, *session.cases))))
            outcomes = runner.measure(whole, SessionProtocol(budget, processes), say)
            for name, outcome in outcomes.items():
                status = "failed" if outcome.error else "ok"
                records[name] = {
                    "status": status,
                    "reason": outcome.error,
                    "samples": outcome.samples,
                    **outcome.proof,
                }
    return records


def _plain(cases: Sequence[Case]) -> list[Case]:
    return [case.plain for case in cases]


def _results(cases: Sequence[Case], records: Records) -> dict[str, LatencyCell]:
    """Return all results, evaluated together, by the name of their case."""
    from attnbench.reports.tables.latency_results import timed

    unique = list(dict.fromkeys(cases))
    rows = timed([[case] for case in unique if case.name in records], records)
    return {row[0].case.name: row[0] for row in rows}


def _arm(
    case: Case, conditions: Sequence[Conditions], results: Mapping[str, LatencyCell]
) -> dict[str, Any]:
    """Return the JSON object of an arm."""
    first = conditions[0].precision
    runtimes = {}
    for condition in conditions:
        # the key of the first requested precision is the name of the runtime alone
        further = f",precision={condition.precision}" if condition.precision != first else ""
        runtimes[f"{condition.runtime}{further}"] = _runtime(
            results[case.for_latency(condition).name]
        )
    return {
        "name": case.network,
        "backbone": case.backbone,
        "module": case.module,
        "placement": case.placement,
        "channels": case.channels,
        "size": list(case.size),
        "form": "fused" if case.fused else "plain",
        "baseline": "plain backbone" if case.backbone else "one pass over the map",
        "runtimes": runtimes,
    }


def _runtime(cell: LatencyCell) -> dict[str, Any]:
    from attnbench.reports.tables.long_format import latency_fields

    if cell.timing is None:
        return {"status": cell.status, "reason": cell.reason}
    facts = {key: cell.runtime.get(key) for key in ("versions", "processor", "isa", "fallbacks")}
    return {"status": "ok", **latency_fields(cell), **facts}
