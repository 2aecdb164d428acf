"""``attnbench export``: export of networks to files for devices, with validated outputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnbench.cli.options import Json, Plugins
from attnbench.cli.output import load_catalog, log, print_json, stdout_to_stderr, write
from attnbench.cli.progress import SilentProgress
from attnbench.cli.request_grid import (
    Backbones,
    Channels,
    Modules,
    Placements,
    Size,
    grid_request,
    one_or_arms,
    prepare_request,
    refuse_skipped,
)
from attnbench.errors import MissingExtraError, RequestError
from attnbench.runtimes.runtime import Runtime, RuntimeFailure, RuntimeSettings, check

if TYPE_CHECKING:
    from attnbench.measure.export import ExportMeter
    from attnbench.records.format import Record
    from attnbench.suites.case import Case


EXAMPLES = (
    "attnbench export -b mobilenet_v2 -m se -p after:14 --runtime litert -o out",
    "attnbench export -b mobilenet_v2 --runtime onnxruntime,openvino -o out",
)


def command(
    runtime: Annotated[
        str,
        typer.Option("--runtime", metavar="NAME,...", help="onnxruntime, openvino, executorch ..."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the files.")
    ],
    backbone: Backbones = None,
    module: Modules = None,
    placement: Placements = None,
    size: Size = None,
    channels: Channels = None,
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Images per call.")] = 1,
    precision: Annotated[
        str, typer.Option("--precision", metavar="NAME", help="fp32, or int8.")
    ] = "fp32",
    fused: Annotated[
        bool, typer.Option("--fused", help="The inference form of modules that have one.")
    ] = False,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", metavar="FILE", help="A state dict; random without it."),
    ] = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Export networks to files for devices.

    Each file is checked against eager in the runtime that loads it.
    """
    from attnbench.measure.export import ExportMeter
    from attnbench.runner.run_suite import measure
    from attnbench.runner.worker_tasks import Measurers, WorkerTasks
    from attnbench.workers.process import InProcessWorker

    settings = RuntimeSettings(precision=precision)
    names = [_runtime(name, settings).name for name in runtime.split(",")]
    measurers = Measurers(load_catalog(plugin))
    measurers.export = ExportMeter(measurers.cost, output, weights)
    forms = ("fused",) if fused else ("plain",)
    request = grid_request(backbone, module, placement, size, channels, forms=forms)
    section = {"runtimes": names, "precisions": [precision], "batch": batch}
    with stdout_to_stderr():
        job = prepare_request("export", request, measurers, section)
        refuse_skipped(job)
        worker = InProcessWorker(WorkerTasks(measurers), (RuntimeFailure,))
        run = measure(job, worker, _ExportProgress())
    arms = [_arm(case, run.records[case.name], measurers.export) for case in job.cases]
    if json:
        print_json(one_or_arms(arms))
    else:
        _print(arms)
    if any(arm["status"] == "failed" for arm in arms):
        raise typer.Exit(1)


class _ExportProgress(SilentProgress):
    """Progress as one line for each file."""

    def step(self, case: Case, text: str, share: float = 0.0) -> None:
        """Report the start of an export."""
        runtime = case.conditions.runtime if case.conditions else ""
        log(f"attnbench: exporting {case.network} with {runtime} ...")


def _arm(case: Case, record: Record, meter: ExportMeter) -> dict[str, Any]:
    """Return the JSON object of an exported file, or of the reason of its failure."""
    from attnbench.measure.export import about_case

    if record.status == "ok":
        return {**(record.runtime or {}), **({"notes": record.notes} if record.notes else {})}
    failed = {"status": record.status, "reason": record.reason}
    return about_case(case) | {"weights": meter.describe_weights(case)} | failed


def _runtime(name: str, settings: RuntimeSettings) -> Runtime:
    from attnbench.runtimes.registry import runtime, runtimes

    found = runtime(name.strip())
    if getattr(found, "suffix", None) is None:
        exporting = [
            candidate for candidate in runtimes() if getattr(runtime(candidate), "suffix", None)
        ]
        raise RequestError(
            f"runtime {found.name} cannot export: it writes no file. "
            f"Choose from {', '.join(exporting)}."
        )
    check(found, settings)
    missing = found.missing()
    if missing:
        raise MissingExtraError(f"runtime {found.name}: {missing}")
    return found


def _print(arms: Sequence[dict[str, Any]]) -> None:
    lines = [line for arm in arms for line in _lines(arm)]
    if any(arm["weights"] == "random" and arm["status"] == "ok" for arm in arms):
        lines.append("Weights are random; --weights FILE loads others.")
    write("".join(f"{line}\n" for line in lines))


def _lines(arm: dict[str, Any]) -> list[str]:
    name = arm["name"].removeprefix("export/")
    if arm["status"] == "failed":
        return [f"{name}: {arm['runtime']} failed: {arm['reason']}"]
    lines = [
        f"{arm['file']}  {arm['bytes'] / 1e6:.1f} MB",
        f"  {name}, {arm['runtime']}, {arm['precision']}, exported in {arm['export_s']:.1f} s",
        f"  {_checked(arm)}",
    ]
    if arm["weights"] != "random":
        lines.append(f"  weights: {arm['weights']}")
    lines += [f"  {'; '.join(arm['notes'])}"] if arm["notes"] else []
    lines += [f"  off the fast path: {what} ({count}x)" for what, count in arm["fallbacks"].items()]
    return lines


def _checked(arm: dict[str, Any]) -> str:
    error = f"largest error {arm['max_error']:.1e} of the largest output"
    if arm["precision"] == "fp32":
        return f"checked against eager: {error} ({arm['tolerance']:.0e} allowed)"
    parts = [f"against fp32 eager: {error}"]
    parts += [f"signal to noise {arm['sqnr_db']:.1f} dB"] if arm["sqnr_db"] is not None else []
    parts += [f"same first class {arm['top1']:.0%}"] if arm["top1"] is not None else []
    return ", ".join(parts)
