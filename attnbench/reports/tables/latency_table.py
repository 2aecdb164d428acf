"""The tables of ``attnbench latency``: one per backbone and runtime, with the arms as rows."""

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
    """Return the report of results, with a table for each plain network and its conditions."""
    tables: dict[str, list[LatencyCell]] = {}
    for cell in results:
        tables.setdefault(cell.case.plain.name, []).append(cell)
    footer = [VERDICT_RULE, *([ONE_PROCESS] if processes == 1 else [])]
    lines = tuple(
        {**case_fields(cell.case), "status": cell.status, **latency_fields(cell)}
        for cell in results
    )
    built = tuple(_table(rows) for rows in tables.values())
    return Report("latency", "", "", "", (), built, tuple(footer), lines=lines)


def _table(rows: Sequence[LatencyCell]) -> Table:
    notes = Footnotes()
    ordered = sorted(rows, key=lambda row: row.case.module is not None)
    columns = [(column, text) for column, text in _LAYOUT if _is_wanted(column, ordered)]
    cells = tuple(
        (
            Cell(columns[0][1](row), notes=notes.add(*footnotes_of(row))),
            *(Cell(text(row)) for _, text in columns[1:]),
        )
        for row in ordered
    )
    return Table(
        f"{_network(ordered[0])} in {head(str(ordered[0].conditions), ordered)}",
        tuple(column for column, _ in columns),
        cells,
        notes=tuple(latency_notes([[row] for row in ordered])),
        footnotes=notes.texts,
    )


def _network(cell: LatencyCell) -> str:
    height, width = cell.case.size
    if cell.case.backbone is None:
        return f"{cell.case.channels}x{height}x{width}"
    return f"{cell.case.backbone} at {height}x{width}"


def _is_wanted(column: Column, rows: Sequence[LatencyCell]) -> bool:
    if column.head in ("SQNR", "Top-1 agreement"):
        return any(row.conditions.precision != "fp32" for row in rows)
    return column.head != "Placement" or any(row.case.placement for row in rows)


def _module(cell: LatencyCell) -> str:
    baseline = "plain" if cell.case.backbone else "one pass over the map"
    return f"{cell.case.module}, fused" if cell.case.fused else cell.case.module or baseline


def _overhead(cell: LatencyCell) -> str:
    if cell.timing is None:
        return cell.status
    if cell.timing.is_plain:
        return "A/A"
    ratio = cell.timing.arm.ratio
    return percent(ratio) if cell.case.backbone else f"{ratio:.3g}x"


def _interval(cell: LatencyCell) -> str:
    if cell.timing is None:
        return ""
    arm = cell.timing.arm
    if cell.case.backbone or cell.timing.is_plain:
        return interval(arm.low, arm.high)
    return f"[{arm.low:.3g}, {arm.high:.3g}]"


def _verdict(cell: LatencyCell) -> str:
    return "" if cell.timing is None or cell.timing.is_plain else verdict(cell)


def _trust(cell: LatencyCell) -> str:
    if cell.judgment is None:
        return ""
    return "ok" if cell.judgment.trust == "ok" else "no"  # a footnote gives the reason


def _figure(key: str) -> Text:
    return lambda cell: "" if cell.timing is None else figure(cell, key)


_LAYOUT: tuple[tuple[Column, Text], ...] = (
    (Column("Module"), _module),
    (Column("Placement"), lambda cell: cell.case.placement or ""),
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
