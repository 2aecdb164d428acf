"""``attnbench cost``: costs of modules, in backbones or alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnbench.cli.options import Format, Json, Plugins, chosen_format
from attnbench.cli.output import guests, load_catalog, print_json, print_report
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

if TYPE_CHECKING:
    from attnbench.suites.case import Case

CONVENTION = (
    "MACs: multiply-adds of convolutions, linear layers and matrix products, one image; "
    "activations: output elements of the same; bytes: read and written by each unfused operator"
)
_TOTALS = ("params", "trainable", "macs", "activations", "bytes")


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
    format: Format = None,
    json: Json = False,
) -> None:
    """Count parameters, MACs, activations and bytes; several -b, -m, -p cross into one table."""
    from attnbench.measure.cost import CostMeter

    chosen = chosen_format(format, json)
    catalog = load_catalog(plugin)
    meter = CostMeter(catalog)
    request = GridRequest(
        backbone or [], module or [], placement or [], size, channels, counters, fused
    )
    with guests():
        cases = cases_of(request, catalog)
        for case in cases:
            meter.check(case)
        arms = [_arm(case, meter.measure(case)) for case in cases]
    if chosen == "json":
        print_json(arms[0] if len(arms) == 1 else {"arms": arms})
    else:
        _print(_with_plain(arms, cases, meter), chosen)


def _arm(case: Case, measurement: Any) -> dict[str, Any]:
    """Return the JSON object of an arm."""
    values = measurement.values
    arm: dict[str, Any] = {
        "name": case.name,
        "backbone": case.backbone,
        "module": case.module,
        "placement": case.placement,
        "channels": case.channels,
        "size": list(case.size),
        "form": "fused" if case.fused else "plain",
        "convention": CONVENTION,
        **{key: values[key] for key in _TOTALS},
    }
    if case.backbone:
        arm["delta"] = {
            key: values[f"delta_{key}"] for key in ("params", "macs", "activations", "bytes")
        }
        arm["sites"] = measurement.slots
    else:
        arm |= {key: values[key] for key in ("paper_params", "paper_macs")}
        arm["formula"] = {key: values[f"formula_{key}"] for key in ("params", "macs")}
    if measurement.counters is not None:
        arm["counters"] = measurement.counters
    return arm


def _with_plain(
    arms: Sequence[dict[str, Any]], cases: Sequence[Case], meter: Any
) -> list[dict[str, Any]]:
    """Return the arms, with each plain backbone before its first arm."""
    shown: list[dict[str, Any]] = []
    for case, arm in zip(cases, arms, strict=True):
        plain = case.plain
        if case.backbone and case.module and plain.name not in [row["name"] for row in shown]:
            shown.append(_arm(plain, meter.measure(plain)))
        shown.append(arm)
    return shown


def _print(arms: Sequence[dict[str, Any]], chosen: str) -> None:
    from attnbench.reports.tables.cost_table import report_of_arms

    print_report(report_of_arms(arms, CONVENTION), chosen)
