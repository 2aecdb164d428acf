"""``attnbench accuracy``: accuracy of modules relative to the plain backbone, paired by seed."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnbench.cli.options import (
    Columns,
    Explain,
    Format,
    Json,
    Out,
    Plugins,
    Wide,
    chosen_format,
    parse_duration,
    table_view,
)
from attnbench.cli.output import (
    command_to_go_on,
    load_catalog,
    log,
    log_warning,
    print_json,
    print_report,
    stdout_to_stderr,
)
from attnbench.cli.request_grid import (
    Backbones,
    Modules,
    Placements,
    grid_request,
    one_or_arms,
    prepare_request,
    refuse_skipped,
    rows_of,
)
from attnbench.errors import RequestError

if TYPE_CHECKING:
    from attnbench.records.store import Run
    from attnbench.reports.table_view import TableView
    from attnbench.reports.tables.accuracy_results import PairedTrainings
    from attnbench.runner.job import Job
    from attnbench.runner.worker_tasks import Measurers
    from attnbench.stats.paired_difference import DifferenceEstimate
    from attnbench.suites.request import GridRequest
    from attnbench.workers.pool import Pool
    from attnbench.workers.process import Worker

NAME = "accuracy"
"""Folder of these runs within ``--out``."""


Dataset = Annotated[
    str,
    typer.Option("--dataset", metavar="NAME", help="See: attnbench list datasets; or folder:PATH."),
]
Labels = Annotated[
    Path | None,
    typer.Option("--labels", metavar="FILE", help="Table file,label[,split] of a folder:PATH."),
]
Seeds = Annotated[
    int | None,
    typer.Option(
        "--seeds",
        metavar="N",
        min=1,
        help="Trainings of each arm: 3, with --until at most 40, by default.",
    ),
]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="decided", help="Add seeds until each arm has a verdict."),
]
Margin = Annotated[
    float | None,
    typer.Option("--margin", metavar="POINTS", help="Difference that is called the same: 0.5."),
]
Budget = Annotated[
    str | None,
    typer.Option("--budget", metavar="TIME", help="With --until: wall time, such as 4h."),
]
Recipe = Annotated[
    str | None,
    typer.Option(
        "--recipe", metavar="NAME", help="Or a .toml file; the data set's own by default."
    ),
]
Epochs = Annotated[
    int | None, typer.Option("--epochs", metavar="N", min=1, help="Instead of the recipe's.")
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights", metavar="FILE", help="Weights of the plain backbone to start from; FILE:KEY."
    ),
]
Blend = Annotated[
    bool,
    typer.Option("--blend", help="Start each module as the identity: y = x + a(f(x) - x)."),
]
Wider = Annotated[
    bool, typer.Option("--wider", help="Also plain backbones of the arms' multiply-adds.")
]
Int8 = Annotated[bool, typer.Option("--int8", help="Also the accuracy after quantization.")]
Threads = Annotated[int, typer.Option("--threads", metavar="N", min=1, help="Of each training.")]
Save = Annotated[
    Path | None,
    typer.Option("--save", metavar="DIR", help="Keep the trained weights: ARM,seed=N.pt."),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Train everything again.")]
Executor = Annotated[
    str,
    typer.Option(
        "--executor", metavar="NAME", help="local, or ray: on the nodes of a Ray cluster."
    ),
]


EXAMPLES = (
    "attnbench accuracy -b mobilenet_v2,width=0.35 -m se -p after:14",
    "attnbench accuracy -b mobilenet_v2 -m se -m eca -p after:14 --until decided",
)


def command(
    backbone: Backbones = None,
    module: Modules = None,
    placement: Placements = None,
    dataset: Dataset = "digits",
    labels: Labels = None,
    seeds: Seeds = None,
    until: Until = None,
    margin: Margin = None,
    budget: Budget = None,
    recipe: Recipe = None,
    epochs: Epochs = None,
    weights: Weights = None,
    blend: Blend = False,
    wider: Wider = False,
    int8: Int8 = False,
    threads: Threads = 1,
    save: Save = None,
    fresh: Fresh = False,
    executor: Executor = "local",
    plugin: Plugins = None,
    *,
    out: Out,
    columns: Columns = None,
    wide: Wide = False,
    explain: Explain = False,
    format: Format = None,
    json: Json = False,
) -> None:
    """Train modules beside the plain backbone.

    Both start from the same seeds, and are compared pair by pair; several -b, -m, -p cross.
    Stop it at any time: the same command goes on from there.
    """
    from attnbench.datasets.registry import with_labels
    from attnbench.runner.worker_main import check_executor, new_pool, new_worker
    from attnbench.runner.worker_tasks import Measurers
    from attnbench.suites.request import race_settings

    chosen = chosen_format(format, json)
    view = table_view(chosen, columns, wide, explain)
    check_executor(executor)
    measurers = Measurers(load_catalog(plugin))
    section = {
        "dataset": dataset if labels is None else with_labels(dataset, labels),
        "recipe": recipe,
        "epochs": epochs,
        **race_settings(seeds, until, margin),
        "weights": str(weights) if weights else None,
        "int8": int8,
        "threads": threads,
    }
    request = _request(backbone, _blended(module, blend), placement, wider=wider)
    job = _prepare(request, measurers, section, Path(out) / NAME, fresh=fresh)
    job = replace(job, race_s=_race_seconds(until, budget))
    _check(job, view)
    _announce(job)
    with new_worker(plugin or []) as worker:
        run = _measure(job, worker, new_pool(executor, worker, plugin or []), save)
    _print(job, run, chosen, view)


def _prepare(
    request: GridRequest,
    measurers: Measurers,
    settings: Mapping[str, Any],
    folder: Path,
    *,
    fresh: bool,
) -> Job:
    from attnbench.suites.request import accuracy_section

    with stdout_to_stderr():
        return prepare_request(
            NAME, request, measurers, accuracy_section(settings), folder, fresh=fresh
        )


def _race_seconds(until: str | None, budget: str | None) -> float | None:
    if budget is None:
        return None
    if until is None:
        raise RequestError(f"--budget needs --until decided: got {budget} alone. Add --until")
    return parse_duration("--budget", budget)


def _exit_for_failed(job: Job, run: Run) -> None:
    """Exit with status 1 if a training failed."""
    if any(
        record.status == "failed"
        for case in job.cases
        if (record := run.records.get(case.name))  # a race trains some
    ):
        sys.exit(1)


def _request(
    backbones: list[str] | None, modules: list[str], placements: list[str] | None, *, wider: bool
) -> GridRequest:
    if not backbones:
        raise RequestError(
            "a training needs a backbone (-b): got none. Add -b, and -m with -p for modules"
        )
    return grid_request(backbones, modules, placements, wider=wider)


def _check(job: Job, view: TableView) -> None:
    """Check that nothing is skipped, and the names of ``--columns``, before any training."""
    from attnbench.reports.tables.build import build_report
    from attnbench.reports.terminal import check_columns

    refuse_skipped(job)
    if view.columns:
        check_columns(build_report(job.suite, job.tables, {}, {}), view)


def _print(job: Job, run: Run, form: str, view: TableView) -> None:
    if form == "json":
        results = [pair for row in rows_of(job, run) for pair in row.trained]
        arms = [pair for pair in results if not pair.is_plain] or results
        print_json(one_or_arms([_arm(pair) for pair in arms]))
    else:
        from attnbench.reports.run_report import report_of

        print_report(report_of(run), form, view)
    _exit_for_failed(job, run)


def _blended(modules: list[str] | None, blend: bool) -> list[str]:
    from attnbench.registry.specs import parse_spec

    specs = [parse_spec(module, "module") for module in modules or []]
    if not blend:
        return modules or []
    return [str(spec.with_options(**{"blend": True, **spec.options})) for spec in specs]


def _announce(job: Job) -> None:
    """Report the notes on the data and the minimum detectable difference."""
    from attnbench.runner.detectable_difference import data_notes, detection

    for line in (*data_notes(job), *detection(job)):
        log(line)


def _measure(job: Job, worker: Worker, pool: Pool, save: Path | None) -> Run:
    from attnbench.cli.progress import progress
    from attnbench.runner.run_suite import measure

    try:
        run = measure(job, worker, progress(), pool, save)
    except KeyboardInterrupt:
        log(
            f"attnbench: interrupted; {command_to_go_on()} goes on from the last checkpoints (one "
            "every 20 s of training)"
        )
        sys.exit(130)
    log_warning(run)
    return run


def _arm(result: PairedTrainings) -> dict[str, Any]:
    """Return the JSON object of an arm."""
    case, facts = result.results[0].case, result.facts
    changes = result.results[0].notes.get("notes")
    mean = result.mean()
    return {
        "name": case.key,
        "backbone": case.backbone,
        "module": case.module,
        "placement": case.placement,
        "sites": max(len(seed.slots) for seed in result.results),
        "dataset": facts.get("dataset"),
        "synthetic": facts.get("synthetic"),
        "images": facts.get("images"),
        "classes": facts.get("classes"),
        "notes": [*(facts.get("notes") or ()), *changes] if changes else facts.get("notes"),
        "recipe": facts.get("recipe"),
        "size": list(case.size),
        "status": result.status,
        "reasons": [
            str((seed.record or {}).get("reason")) for seed in result.results if seed.status != "ok"
        ],
        "seeds": _seeds(result.own),
        "plain": _seeds(result.plain),
        "top1_mean": mean.mean if mean else None,
        "top1_low": _finite(mean.low) if mean else None,
        "top1_high": _finite(mean.high) if mean else None,
        "difference": _difference(result.difference())
        | {
            "verdict": result.judgment.verdict if result.judgment else "none",
            "text": str(result.judgment) if result.judgment else "",
            "within": result.judgment.within if result.judgment else None,
            "more_seeds": result.judgment.more_seeds if result.judgment else None,
        },
    }


def _seeds(records: Any) -> list[dict[str, Any]]:
    return [dict(_seed(seed, record)) for seed, record in sorted(records.items())]


def _seed(seed: int, record: Any) -> Iterator[tuple[str, Any]]:
    training = record.get("training") or {}
    yield "seed", seed
    yield from ((key, record["values"].get(key)) for key in ("top1", "top5", "loss"))
    if "int8_top1" in record["values"]:
        yield "int8_top1", record["values"]["int8_top1"]
    yield "curve", training.get("curve")
    yield "weights", training.get("weights")


def _difference(found: DifferenceEstimate | None) -> dict[str, Any]:
    if found is None:
        return {"mean": None, "low": None, "high": None, "p_value": None}
    return {
        "mean": found.mean,
        "low": _finite(found.low),
        "high": _finite(found.high),
        "p_value": found.p_value,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
