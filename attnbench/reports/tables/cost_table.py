"""The table of ``attnbench cost``: its arms as rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attnbench.reports.tables.footnotes import Footnotes, reconciliation
from attnbench.reports.tables.report import Cell, Column, Report, Table
from attnbench.reports.tables.row_views import CostResult

CONVENTION = (
    "MACs: multiply-adds of convolutions, linear layers and matrix products, one image; "
    "activations: output elements of the same; bytes: read and written by each unfused operator"
)
_TOTALS = ("params", "trainable", "macs", "activations", "bytes")
_DELTAS = ("params", "macs", "activations", "bytes")
Arm = Mapping[str, Any]
Text = Callable[[Arm], str]


def arm_of(result: CostResult) -> dict[str, Any]:
    """Return the JSON object of a cost case."""
    case, values = result.case, result.values
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
        arm["delta"] = {key: values[f"delta_{key}"] for key in _DELTAS}
        arm["sites"] = result.slots
    else:
        arm |= {key: values[key] for key in ("paper_params", "paper_macs")}
        arm["formula"] = {key: values[f"formula_{key}"] for key in ("params", "macs")}
    counters = (result.record or {}).get("counters")
    return arm if counters is None else arm | {"counters": counters}


def report_of_arms(arms: Sequence[Arm]) -> Report:
    """Return the report of arms, which are modules in backbones or modules alone."""
    layout = _PLACED if any(arm["backbone"] for arm in arms) else _ALONE
    notes = Footnotes()
    counted = any(arm.get("counters") for arm in arms)
    rows = tuple(
        (
            *(Cell(text(arm)) for _, text in layout),
            *([_counters(arm, notes)] if counted else []),
        )
        for arm in arms
    )
    counters = [Column("Counters", "reconciled with ours")] if counted else []
    columns = (*(column for column, _ in layout), *counters)
    table = Table("", columns, rows, footnotes=notes.texts)
    footer = (CONVENTION, *_units(arms))
    return Report("cost", "", "", "", (), (table,), footer, lines=tuple(map(_line, arms)))


def _count(key: str) -> Text:
    return lambda arm: f"{arm[key]:,}"


def _delta(key: str) -> Text:
    return lambda arm: f"{arm['delta'][key]:+,}" if arm["module"] else ""


def _printed(key: str) -> Text:
    return lambda arm: "none printed" if arm[key] is None else f"{arm[key]:,}"


def _map(arm: Arm) -> str:
    height, width = arm["size"]
    return f"{arm['channels']}x{height}x{width}"


_COMMON = (
    (Column("Activations", numeric=True), _count("activations")),
    (Column("Bytes", numeric=True), _count("bytes")),
)


def _module(arm: Arm) -> str:
    fused = ", fused" if arm["form"] == "fused" else ""
    return f"{arm['module']}{fused}" if arm["module"] else "plain"


_PLACED: tuple[tuple[Column, Text], ...] = (
    (Column("Backbone"), lambda arm: arm["backbone"]),
    (Column("Module"), _module),
    (Column("Placement"), lambda arm: arm["placement"] or ""),
    (Column("Parameters", numeric=True), _count("params")),
    (Column("to plain", numeric=True), _delta("params")),
    (Column("MACs", numeric=True), _count("macs")),
    (Column("to plain", numeric=True), _delta("macs")),
    *_COMMON,
)
_ALONE: tuple[tuple[Column, Text], ...] = (
    (Column("Module"), _module),
    (Column("Map"), _map),
    (Column("Parameters", numeric=True), _count("params")),
    (Column("by printed formula", numeric=True), _printed("paper_params")),
    (Column("MACs", numeric=True), _count("macs")),
    (Column("by printed formula", numeric=True), _printed("paper_macs")),
    *_COMMON,
)


def _others(arm: Arm) -> dict[str, Mapping[str, Any]]:
    reports = arm.get("counters") or {}
    return {name: report for name, report in reports.items() if name != "rules"}


def _counters(arm: Arm, notes: Footnotes) -> Cell:
    reports = _others(arm)
    if not reports:
        return Cell("")
    agree = sum(1 for report in reports.values() if report["agree"])
    texts = " ".join(filter(None, (reconciliation(*item) for item in reports.items())))
    return Cell(f"{agree} of {len(reports)} agree", notes=notes.add(texts))


def _units(arms: Sequence[Arm]) -> list[str]:
    units = {name: report["unit"] for arm in arms for name, report in _others(arm).items()}
    return [f"{name} counts {unit}" for name, unit in units.items()]


def _line(arm: Arm) -> dict[str, Any]:
    """Return the arm, flattened for CSV."""
    flat = {key: value for key, value in arm.items() if not isinstance(value, dict | list)}
    del flat["convention"]
    height, width = arm["size"]
    delta = {f"delta_{key}": value for key, value in (arm.get("delta") or {}).items()}
    raw = {f"{name}_raw": report["raw"] for name, report in _others(arm).items()}
    return {**flat, "height": height, "width": width, **delta, **raw}
