"""The table of ``attnbench cost``: its arms as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attnbench.tables.model import Cell, Column, Report, Table

Arm = Mapping[str, Any]


def report_of_arms(arms: Sequence[Arm], convention: str) -> Report:
    """Return the report of some arms: in backbones, or modules alone."""
    placed = any(arm["backbone"] for arm in arms)
    columns = _PLACED if placed else _ALONE
    notes = list(dict.fromkeys(note for arm in arms for note in counter_notes(arm)))
    rows = tuple(tuple(_cell(column, arm, notes) for column in columns) for arm in arms)
    table = Table("", columns, rows, footnotes=tuple(notes))
    lines = tuple(_line(arm) for arm in arms)
    return Report("cost", "", "", "", (), (table,), (convention,), lines=lines)


def counter_notes(arm: Arm) -> list[str]:
    """Return for each counter that says another number what it counted otherwise, in a sentence."""
    reports = arm.get("counters") or {}
    return [
        _explained(name, report)
        for name, report in reports.items()
        if name != "rules" and (report["adjustments"] or not report["agree"])
    ]


def _explained(name: str, report: Mapping[str, Any]) -> str:
    if report["raw"] is None:
        return f"{name} failed: {report.get('reason')}"
    parts = [f"{one['operator']} {one['macs']:+,} ({one['why']})" for one in report["adjustments"]]
    end = "" if report["agree"] else f"; unexplained: {report['remainder']:+,}"
    return (
        f"{name} counts {report['raw']:,} ({report['unit']}); to our MACs: {'; '.join(parts)}{end}"
    )


_PLACED = (
    Column("Backbone"),
    Column("Module"),
    Column("Placement"),
    Column("Parameters", numeric=True),
    Column("+/-", numeric=True),
    Column("MACs", numeric=True),
    Column("+/- ", numeric=True),
    Column("Activations", numeric=True),
    Column("Bytes", numeric=True),
    Column("Counters"),
)
_ALONE = (
    Column("Module"),
    Column("Map"),
    Column("Parameters", numeric=True),
    Column("printed formula", numeric=True),
    Column("MACs", numeric=True),
    Column("printed formula ", numeric=True),
    Column("Activations", numeric=True),
    Column("Bytes", numeric=True),
    Column("Counters"),
)


def _cell(column: Column, arm: Arm, notes: Sequence[str]) -> Cell:
    if column.head == "Counters":
        return _counters(arm, notes)
    return Cell(_texts(arm)[column.head])


def _texts(arm: Arm) -> dict[str, str]:
    delta = arm.get("delta") or {}
    channels, (height, width) = arm["channels"], arm["size"]
    return {
        "Backbone": arm["backbone"] or "",
        "Module": arm["module"] or "plain",
        "Placement": arm["placement"] or "",
        "Map": f"{channels}x{height}x{width}",
        "Parameters": f"{arm['params']:,}",
        "+/-": _signed(delta.get("params")),
        "MACs": f"{arm['macs']:,}",
        "+/- ": _signed(delta.get("macs")),
        "printed formula": _optional(arm.get("paper_params")),
        "printed formula ": _optional(arm.get("paper_macs")),
        "Activations": f"{arm['activations']:,}",
        "Bytes": f"{arm['bytes']:,}",
    }


def _counters(arm: Arm, notes: Sequence[str]) -> Cell:
    reports = {name: one for name, one in (arm.get("counters") or {}).items() if name != "rules"}
    if not reports:
        return Cell("")
    agree = sum(1 for one in reports.values() if one["agree"])
    numbers = tuple(notes.index(note) + 1 for note in counter_notes(arm))
    return Cell(f"{agree} of {len(reports)} agree", notes=numbers)


def _line(arm: Arm) -> dict[str, Any]:
    """The arm flat, for CSV."""
    flat = {key: value for key, value in arm.items() if not isinstance(value, dict | list)}
    flat.pop("convention", None)
    height, width = arm["size"]
    delta = {f"delta_{key}": value for key, value in (arm.get("delta") or {}).items()}
    raw = {
        f"{name}_raw": report["raw"]
        for name, report in (arm.get("counters") or {}).items()
        if name != "rules"
    }
    return {**flat, "height": height, "width": width, **delta, **raw}


def _signed(value: int | None) -> str:
    return "" if not value else f"{value:+,}"


def _optional(value: int | None) -> str:
    return "none printed" if value is None else f"{value:,}"
