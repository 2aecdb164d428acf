"""The tables of ``attnbench latency``: one per backbone and runtime, with the arms as rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attnbench.reports.tables.case_results import LatencyCell, placement_text
from attnbench.reports.tables.footnotes import Footnotes
from attnbench.reports.tables.latency_columns import (
    VERDICT_RULE,
    bounds,
    estimate,
    figure,
    footnotes_of,
    head,
    latency_notes,
    verdict,
)
from attnbench.reports.tables.long_format import case_fields, latency_fields
from attnbench.reports.tables.report import Cell, Column, Report, Table

ONE_PROCESS = (
    "Measured in one process, whose layout in memory is part of the result; --processes 3 pools "
    "several."
)


def report_of_sessions(results: Sequence[LatencyCell], processes: int) -> Report:
    """Return the report of results, with a table for each plain network and its conditions."""
    tables: dict[str, list[LatencyCell]] = {}
    for cell in results:
        tables.setdefault(cell.case.plain.name, []).append(cell)
    lines = tuple(
        {**case_fields(cell.case), "status": cell.status, **latency_fields(cell)}
        for cell in results
    )
    return Report(
        "latency",
        tables=tuple(map(_table, tables.values())),
        footer=(VERDICT_RULE, *([ONE_PROCESS] if processes == 1 else [])),
        lines=lines,
    )


def _table(rows: Sequence[LatencyCell]) -> Table:
    notes = Footnotes()
    ordered = sorted(rows, key=lambda row: row.case.module is not None)
    columns = {column: text for column, text in _LAYOUT.items() if _is_wanted(column, ordered)}
    cells = tuple(
        tuple(
            Cell(text(row), notes=notes.add(*footnotes_of(row)) if text is _module else ())
            for text in columns.values()
        )
        for row in ordered
    )
    return Table(
        f"{_network(ordered[0])} in {head(str(ordered[0].conditions), ordered)}",
        tuple(columns),
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


def _trust(cell: LatencyCell) -> str:
    if cell.judgment is None:
        return ""
    return "ok" if cell.judgment.trust == "ok" else "no"  # a footnote gives the reason


def _figure(key: str) -> Callable[[LatencyCell], str]:
    return lambda cell: "" if cell.timing is None else figure(cell, key)


_LAYOUT: dict[Column, Callable[[LatencyCell], str]] = {
    Column("Module"): _module,
    Column("Placement"): lambda cell: placement_text(cell.case.placement, len(cell.slots)),
    Column("Overhead", numeric=True): estimate,
    Column("95%", numeric=True): bounds,
    Column("Verdict"): verdict,
    Column("Median", "ms", numeric=True): _figure("median"),
    Column("p90", numeric=True): _figure("p90"),
    Column("p99", numeric=True): _figure("p99"),
    Column("Min", numeric=True): _figure("min"),
    Column("Images/s", numeric=True): _figure("throughput"),
    Column("Peak memory", numeric=True): _figure("peak"),
    Column("SQNR", "dB", numeric=True): _figure("sqnr"),
    Column("Top-1 agreement", "%", numeric=True): _figure("top1"),
    Column("Trust"): _trust,
}
