"""The tables of ``attnbench latency``: one for each backbone and runtime, its arms as rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attnbench.reports.tables.footnotes import Footnotes
from attnbench.reports.tables.latency_columns import footnotes_of, head, latency_notes
from attnbench.reports.tables.latency_format import VERDICT_RULE, figure, interval, percent, verdict
from attnbench.reports.tables.latency_results import LatencyCell
from attnbench.reports.tables.long_format import case_fields, latency_fields
from attnbench.reports.tables.report import Cell, Column, Report, Table

ONE_PROCESS = (
    "Measured in one process, whose layout in memory is part of the result; --processes 3 pools "
    "several."
)
Text = Callable[[LatencyCell], str]


def report_of_sessions(results: Sequence[LatencyCell], processes: int) -> Report:
    """Return the report of some results: a table for each plain network and its conditions."""
    tables: dict[str, list[LatencyCell]] = {}
    for one in results:
        tables.setdefault(one.case.plain.name, []).append(one)
    footer = [VERDICT_RULE, *([ONE_PROCESS] if processes == 1 else [])]
    lines = tuple(
        {**case_fields(one.case), "status": one.status, **latency_fields(one)} for one in results
    )
    built = tuple(_table(rows) for rows in tables.values())
    return Report("latency", "", "", "", (), built, tuple(footer), lines=lines)


def _table(rows: Sequence[LatencyCell]) -> Table:
    notes = Footnotes()
    ordered = sorted(rows, key=lambda one: one.case.module is not None)
    columns = [(column, text) for column, text in _LAYOUT if _is_wanted(column, ordered)]
    cells = tuple(
        (
            Cell(columns[0][1](one), notes=notes.add(*footnotes_of(one))),
            *(Cell(text(one)) for _, text in columns[1:]),
        )
        for one in ordered
    )
    return Table(
        f"{_network(ordered[0])} in {head(str(ordered[0].conditions), ordered)}",
        tuple(column for column, _ in columns),
        cells,
        notes=tuple(latency_notes([[one] for one in ordered])),
        footnotes=notes.texts,
    )


def _network(one: LatencyCell) -> str:
    height, width = one.case.size
    if one.case.backbone is None:
        return f"{one.case.channels}x{height}x{width}"
    return f"{one.case.backbone} at {height}x{width}"


def _is_wanted(column: Column, rows: Sequence[LatencyCell]) -> bool:
    if column.head in ("SQNR", "Top-1 agreement"):
        return any(one.conditions.precision != "fp32" for one in rows)
    return column.head != "Placement" or any(one.case.placement for one in rows)


def _module(one: LatencyCell) -> str:
    baseline = "plain" if one.case.backbone else "one pass over the map"
    return f"{one.case.module}, fused" if one.case.fused else one.case.module or baseline


def _overhead(one: LatencyCell) -> str:
    if one.timing is None:
        return one.status
    if one.timing.is_plain:
        return "A/A"
    ratio = one.timing.arm.ratio
    return percent(ratio) if one.case.backbone else f"{ratio:.3g}x"


def _interval(one: LatencyCell) -> str:
    if one.timing is None:
        return ""
    arm = one.timing.arm
    if one.case.backbone or one.timing.is_plain:
        return interval(arm.low, arm.high)
    return f"[{arm.low:.3g}, {arm.high:.3g}]"


def _verdict(one: LatencyCell) -> str:
    return "" if one.timing is None or one.timing.is_plain else verdict(one)


def _trust(one: LatencyCell) -> str:
    if one.judgement is None:
        return ""
    return "ok" if one.judgement.trust == "ok" else "no"  # a footnote says why


def _figure(key: str) -> Text:
    return lambda one: "" if one.timing is None else figure(one, key)


_LAYOUT: tuple[tuple[Column, Text], ...] = (
    (Column("Module"), _module),
    (Column("Placement"), lambda one: one.case.placement or ""),
    (Column("Overhead", numeric=True), _overhead),
    (Column("95%", numeric=True), _interval),
    (Column("Verdict"), _verdict),
    (Column("Median", "ms", numeric=True), _figure("median")),
    (Column("p90", numeric=True), _figure("p90")),
    (Column("p99", numeric=True), _figure("p99")),
    (Column("Min", numeric=True), _figure("min")),
    (Column("Images/s", numeric=True), _figure("throughput")),
    (Column("Peak memory", numeric=True), _figure("peak")),
    (Column("SQNR", "dB", numeric=True), _figure("sqnr")),
    (Column("Top-1 agreement", "%", numeric=True), _figure("top1")),
    (Column("Trust"), _trust),
)
