"""The table of ``attnbench cost``: its arms as rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from attnbench.reports.tables.case_results import CostResult, placement_text
from attnbench.reports.tables.footnotes import (
    Footnotes,
    agreement,
    all_agree,
    counter_units,
    uncounted_note,
)
from attnbench.reports.tables.report import NECESSARY, Cell, Column, Report, Table, TextHead
from attnbench.reports.tables.terms import MACS_RULE, pointer

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
        "uncounted": result.uncounted,
        **result.notes,
    }
    if case.backbone:
        arm["delta"] = {key: values[f"delta_{key}"] for key in _DELTAS}
        arm |= {"sites": len(result.slots), "slots": result.slots}
    else:
        arm |= {key: values[key] for key in ("paper_params", "paper_macs")}
        arm["formula"] = {key: values[f"formula_{key}"] for key in ("params", "macs")}
    counters = (result.record or {}).get("counters")
    return arm if counters is None else arm | {"counters": counters}


def heads_of_arms(*, placed: bool, counters: bool) -> Report:
    """Return a report without rows, of modules in backbones if ``placed``, else alone."""
    columns = [column for column, _ in (_PLACED if placed else _ALONE)]
    columns += [_COUNTERS] * counters
    return Report("cost", tables=(Table("", tuple(columns), (), ()),))


def report_of_arms(arms: Sequence[Arm]) -> Report:
    """Return the report of arms, which are modules in backbones or modules alone."""
    layout = _PLACED if any(arm["backbone"] for arm in arms) else _ALONE
    notes = Footnotes()
    columns = [column for column, _ in layout]
    rows = [tuple(_cell(column, text, arm, notes) for column, text in layout) for arm in arms]
    if any(arm.get("counters") for arm in arms):
        reports = [pair for arm in arms for pair in _reports(arm).items()]
        common = all_agree(reports, uncounted=any(arm["uncounted"] for arm in arms))
        columns.append(replace(_COUNTERS, shown=(replace(_COUNTERS.shown[0], common=common),)))
        cells = [agreement(_reports(arm).items(), notes, arm["uncounted"]) for arm in arms]
        rows = [(*row, cell) for row, cell in zip(rows, cells, strict=True)]
    table = Table("", tuple(columns), tuple(rows), (), notes.texts, notes.details)
    units = counter_units(item for arm in arms for item in _reports(arm).items())
    return Report(
        "cost",
        tables=(table,),
        footer=(CONVENTION, *units),
        brief=(MACS_RULE, pointer("macs", "activations", "bytes")),
        lines=tuple(map(_line, arms)),
    )


def _cell(column: Column, text: Text, arm: Arm, notes: Footnotes) -> Cell:
    unknown = uncounted_note(arm["uncounted"]) if column.head == "MACs" else ""
    return Cell(text(arm), notes=notes.add(unknown))


def _text(head: str, text: Text, *, common: str | None = "") -> tuple[Column, Text]:
    return Column(head, shown=(TextHead(head, NECESSARY, common=common),)), text


def _count(head: str, key: str, short: str, priority: int) -> tuple[Column, Text]:
    """Return the column of a count; a missing one is that of a printed formula."""
    column = Column(head, numeric=True, shown=(TextHead(short, priority, key),))
    return column, lambda arm: "none printed" if arm[key] is None else f"{arm[key]:,}"


def _delta(key: str, short: str, priority: int) -> tuple[Column, Text]:
    column = Column("to plain", numeric=True, shown=(TextHead(short, priority, f"delta_{key}"),))
    return column, lambda arm: f"{arm['delta'][key]:+,}" if arm["module"] else ""


def _module(arm: Arm) -> str:
    fused = ", fused" if arm["form"] == "fused" else ""
    return f"{arm['module']}{fused}" if arm["module"] else "plain"


_COMMON = (
    _count("Activations", "activations", "Activations", 60),
    _count("Bytes", "bytes", "Bytes", 50),
)
_COUNTERS = Column("Counters", "reconciled with ours", shown=(TextHead("Counters", 80),))
_PLACED: tuple[tuple[Column, Text], ...] = (
    _text("Backbone", lambda arm: arm["backbone"]),
    _text("Module", _module, common=None),
    _text("Placement", lambda arm: placement_text(arm["placement"], arm["sites"])),
    _count("Parameters", "params", "Params", 30),
    _delta("params", "+Params", 10),
    _count("MACs", "macs", "MACs", 40),
    _delta("macs", "+MACs", 20),
    *_COMMON,
)
_ALONE: tuple[tuple[Column, Text], ...] = (
    _text("Module", _module, common=None),
    _text("Map", lambda arm: "x".join(map(str, (arm["channels"], *arm["size"])))),
    _count("Parameters", "params", "Params", 10),
    _count("by printed formula", "paper_params", "Params formula", 30),
    _count("MACs", "macs", "MACs", 20),
    _count("by printed formula", "paper_macs", "MACs formula", 40),
    *_COMMON,
)


def _reports(arm: Arm) -> dict[str, Mapping[str, Any]]:
    reports = arm.get("counters") or {}
    return {name: report for name, report in reports.items() if name != "rules"}


def _line(arm: Arm) -> dict[str, Any]:
    flat = {key: value for key, value in arm.items() if not isinstance(value, dict | list)}
    del flat["convention"]
    height, width = arm["size"]
    delta = {f"delta_{key}": value for key, value in (arm.get("delta") or {}).items()}
    raw = {f"{name}_raw": report["raw"] for name, report in _reports(arm).items()}
    unknown = {"uncounted": uncounted_note(arm["uncounted"])} if arm["uncounted"] else {}
    return {**flat, "height": height, "width": width, **delta, **raw, **unknown}
