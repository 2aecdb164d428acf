"""``attnbench cost``: what modules cost in backbones, or alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnbench.cli.options import Format, Json, Plugins, chosen_format, parse_size
from attnbench.cli.output import guests, load_catalog, print_json, print_report
from attnbench.errors import RequestError

if TYPE_CHECKING:
    from attnbench.plugins import Catalog
    from attnbench.suites.cases import Case

CONVENTION = (
    "MACs: multiply-adds of convolutions, linear layers and matrix products, one image; "
    "activations: output elements of the same; bytes: read and written by each unfused operator"
)
_TOTALS = ("params", "trainable", "macs", "activations", "bytes")


def command(
    backbone: Annotated[
        list[str] | None, typer.Option("-b", "--backbone", help="name,key=value; repeats.")
    ] = None,
    module: Annotated[
        list[str] | None,
        typer.Option("-m", "--module", help="name,key=value or FILE.py:Class; repeats."),
    ] = None,
    placement: Annotated[
        list[str] | None,
        typer.Option("-p", "--placement", help="replace:14,17, after:8-12, official ...; repeats."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option("--size", help="N or HxW: the image, or the map of a module alone."),
    ] = None,
    channels: Annotated[
        int | None, typer.Option("--channels", min=1, help="Of a module alone.")
    ] = None,
    counters: Annotated[
        bool, typer.Option(help="Also count with fvcore, ptflops and torch, and reconcile.")
    ] = True,
    plugin: Plugins = None,
    format: Format = None,
    json: Json = False,
) -> None:
    """Count parameters, MACs, activations and bytes; several -b, -m, -p cross into one table."""
    from attnbench.measure.cost import CostMeter

    chosen = chosen_format(format, json)
    catalog = load_catalog(plugin)
    meter = CostMeter(catalog)
    with guests():
        cases = _cases(
            catalog, backbone or [], module or [], placement or [], size, channels, counters
        )
        for case in cases:
            meter.check(case)
        arms = [_arm(case, meter.measure(case)) for case in cases]
    if chosen == "json":
        print_json(arms[0] if len(arms) == 1 else {"arms": arms})
    else:
        _print(_with_plain(arms, cases, meter), chosen)


def _cases(
    catalog: Catalog,
    backbones: Sequence[str],
    modules: Sequence[str],
    placements: Sequence[str],
    size: str | None,
    channels: int | None,
    counters: bool,
) -> list[Case]:
    from attnbench.suites.cases import make_case

    _refuse_nonsense(backbones, modules, placements, size, channels)
    shape = parse_size(size or "224")
    made = [
        make_case(
            catalog,
            backbone=backbone,
            module=module,
            placement=placement,
            channels=channels,
            size=shape,
            counters=counters,
        )
        for backbone, module, placement in _crossed(backbones, modules, placements)
    ]
    return list(dict.fromkeys(made))


def _crossed(
    backbones: Sequence[str], modules: Sequence[str], placements: Sequence[str]
) -> Iterator[tuple[str | None, str | None, str | None]]:
    nothing: list[str | None] = [None]
    for backbone in backbones or nothing:
        for module in modules or nothing:
            for placement in placements or nothing:
                yield backbone, module, placement


def _refuse_nonsense(
    backbones: Sequence[str],
    modules: Sequence[str],
    placements: Sequence[str],
    size: str | None,
    channels: int | None,
) -> None:
    if not backbones and not modules:
        raise RequestError("nothing to count; give a backbone (-b), a module (-m) or both")
    if not backbones and (channels is None or size is None):
        raise RequestError(
            "a module alone needs --channels and --size; or put it into a backbone with -b and -p"
        )
    if backbones and channels is not None:
        raise RequestError("--channels is for a module alone; the backbone's sites have their own")
    if placements and not backbones:
        raise RequestError("a placement (-p) needs a backbone (-b)")
    if placements and not modules:
        raise RequestError("a placement (-p) needs a module (-m); leave both out for the plain one")
    if backbones and modules and not placements:
        raise RequestError(
            "a module in a backbone needs a placement: -p after:11, -p replace:14,17, -p official; "
            f"attnbench show backbone {backbones[0]} lists the layers"
        )


def _arm(case: Case, measurement: Any) -> dict[str, Any]:
    """The JSON object of one arm."""
    values = measurement.values
    arm: dict[str, Any] = {
        "name": case.name,
        "backbone": case.backbone,
        "module": case.module,
        "placement": case.placement,
        "channels": case.channels,
        "size": list(case.size),
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
    """The arms, each backbone's plain one before its first."""
    shown: list[dict[str, Any]] = []
    for case, arm in zip(cases, arms, strict=True):
        plain = case.plain
        if case.backbone and case.module and plain.name not in [one["name"] for one in shown]:
            shown.append(_arm(plain, meter.measure(plain)))
        shown.append(arm)
    return shown


def _print(arms: Sequence[dict[str, Any]], chosen: str) -> None:
    from attnbench.tables.arms import report_of_arms

    print_report(report_of_arms(arms, CONVENTION), chosen)
