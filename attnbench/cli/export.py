"""``attnbench export``: export of networks to files for devices, with validated outputs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnbench.cli.options import Json, Plugins
from attnbench.cli.output import guests, load_catalog, print_json, say, writing
from attnbench.cli.request_grid import (
    Backbones,
    Channels,
    GridRequest,
    Modules,
    Placements,
    Size,
    cases_of,
)
from attnbench.errors import MissingExtraError, RequestError
from attnbench.runtimes.runtime import Runtime, RuntimeFailure, RuntimeSettings, check

if TYPE_CHECKING:
    from torch import nn

    from attnbench.measure.cost import CostMeter
    from attnbench.suites.case import Case

_CHECKED_ON = 16
"""Number of images for the validation of an exported file."""
_LONGEST = 120


def command(
    runtime: Annotated[
        str, typer.Option("--runtime", help="onnxruntime, openvino, executorch; comma-separated.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the files.")
    ],
    backbone: Backbones = None,
    module: Modules = None,
    placement: Placements = None,
    size: Size = None,
    channels: Channels = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images per call.")] = 1,
    precision: Annotated[str, typer.Option("--precision", help="fp32, or int8.")] = "fp32",
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
    """Export networks to files that a device's runtime loads; each is checked against eager."""
    from attnbench.measure.cost import CostMeter

    settings = RuntimeSettings(precision=precision)
    runtimes = [_runtime(name, settings) for name in runtime.split(",")]
    catalog = load_catalog(plugin)
    request = GridRequest(backbone or [], module or [], placement or [], size, channels)
    meter = CostMeter(catalog)
    with guests():
        cases = [_form(case, meter, fused) for case in cases_of(request, catalog)]
        for case in cases:
            meter.check(case)
        arms = [
            arm
            for case in cases
            for arm in _Export(case, meter, settings, batch, weights, output).arms(runtimes)
        ]
    if json:
        print_json(arms[0] if len(arms) == 1 else {"arms": arms})
    else:
        _print(arms)
    if any(arm["status"] == "failed" for arm in arms):
        raise typer.Exit(1)


class _Export:
    """A network, built once, for all runtimes."""

    def __init__(
        self,
        case: Case,
        meter: CostMeter,
        settings: RuntimeSettings,
        batch: int,
        weights: Path | None,
        output: Path,
    ) -> None:
        from attnbench.measure.network import inputs
        from attnbench.models.fuse import fuse
        from attnbench.suites.conditions import Conditions

        self.name = replace(case, kind="export").name
        self.case, self.settings, self.batch, self.output = case, settings, batch, output
        self.inputs = inputs(case.for_latency(Conditions("eager", batch=batch)), _CHECKED_ON)
        self.reference, self.weights = _network(case, meter, weights)
        self.model = fuse(self.reference) if case.fused else self.reference

    def arms(self, runtimes: Sequence[Runtime]) -> list[dict[str, Any]]:
        return [self.arm(runtime) for runtime in runtimes]

    def arm(self, runtime: Runtime) -> dict[str, Any]:
        """Return the JSON object of an exported file, or of the reason of its failure."""
        from attnbench.runtimes.export import export_file

        about = self.about(runtime)
        say(f"attnbench: exporting {self.name.partition('/')[2]} with {runtime.name} ...")
        stem = self.output / file_stem(self.case, self.batch, self.settings.precision)
        try:
            done = export_file(
                runtime, self.model, self.inputs, self.settings, stem, about, self.reference
            )
        except RuntimeFailure as failure:
            return about | {"status": "failed", "reason": str(failure)}
        return about | {"status": "ok"} | done.to_dict()

    def about(self, runtime: Runtime) -> dict[str, Any]:
        case = self.case
        return {
            "name": self.name,
            "backbone": case.backbone,
            "module": case.module,
            "placement": case.placement,
            "channels": case.channels,
            "size": list(case.size),
            "form": "fused" if case.fused else "plain",
            "runtime": runtime.name,
            "precision": self.settings.precision,
            "batch": self.batch,
            "weights": self.weights,
        }


def file_stem(case: Case, batch: int, precision: str) -> str:
    """Return a readable file name without suffix: ``mobilenet_v2_ulsam-groups-4_after-14``."""
    height, width = case.size
    parts = [case.backbone, case.module, case.placement]
    if case.channels is not None:
        parts.append(f"{case.channels}x{height}x{width}")
    elif case.size != (224, 224):
        parts.append(f"{height}x{width}")
    parts += ["fused"] if case.fused else []
    parts += [f"batch{batch}"] if batch > 1 else []
    parts += [precision] if precision != "fp32" else []
    stem = "_".join(re.sub(r"[^\w.]+", "-", part).strip("-.") for part in parts if part)
    if len(stem) <= _LONGEST:
        return stem
    return f"{stem[:_LONGEST]}-{hashlib.sha256(stem.encode()).hexdigest()[:8]}"


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


def _form(case: Case, meter: CostMeter, fused: bool) -> Case:
    from attnbench.suites.plan import has_fused_form

    if not fused or case.module is None:
        return case
    if not has_fused_form(case.module, meter.catalog):
        raise RequestError(f"module {case.module} has no fused form. Leave out --fused.")
    return case.fuse()


def _network(case: Case, meter: CostMeter, weights: Path | None) -> tuple[nn.Module, str]:
    """Return the network in its plain form and the description of its weights."""
    from attnbench.measure.network import network
    from attnbench.models.pretrained import load_weights

    model = network(replace(case, fused=False), meter)
    return model, load_weights(model, weights) if weights is not None else "random"


def _print(arms: Sequence[dict[str, Any]]) -> None:
    with writing():
        for arm in arms:
            for line in _lines(arm):
                typer.echo(line)
        if any(arm["weights"] == "random" and arm["status"] == "ok" for arm in arms):
            typer.echo("Weights are random; --weights FILE loads others.")


def _lines(arm: dict[str, Any]) -> list[str]:
    name = arm["name"].partition("/")[2]
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
