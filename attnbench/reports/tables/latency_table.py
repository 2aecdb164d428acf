"""The tables of ``attnbench latency``: one per backbone and runtime, with the arms as rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attnbench.reports.tables.case_results import LatencyCell, placement_text
from attnbench.reports.tables.footnotes import Footnotes
from attnbench.reports.tables.latency_columns import (
    bounds,
    estimate,
    figure,
    footnotes_of,
    head,
    latency_notes,
    verdict,
)
from attnbench.reports.tables.long_format import case_fields, latency_fields
from attnbench.reports.tables.report import NECESSARY, Cell, Column, Report, Table, TextHead
from attnbench.reports.tables.terms import OVERHEAD_RULE, VERDICT_RULE, pointer

ONE_PROCESS = (
    "Measured in one process, whose layout in memory is part of the result; --processes 3 pools "
    "several."
)


def report_of_sessions(results: Sequence[LatencyCell], processes: int) -> Report:
    """Return the report of results, with a table for each plain network and its conditions."""
    tables: dict[str, list[LatencyCell]] = {}
    for cell in results:
        tables.setdefault(cell.case.plain.name, []).append(cell)
    process = [ONE_PROCESS] if processes == 1 else []
    lines = tuple(
        {**case_fields(cell.case), "status": cell.status, **latency_fields(cell)}
        for cell in results
    )
    return Report(
        "latency",
        tables=tuple(map(_table, tables.values())),
        footer=(VERDICT_RULE, *process),
        brief=(OVERHEAD_RULE, *process, pointer("overhead", "trust", "median")),
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


def _head(head: str, priority: int, *, common: str | None = None) -> tuple[TextHead, ...]:
    is_verdict = head in ("Verdict", "Trust")
    return (TextHead(head, priority, common=common, is_verdict=is_verdict),)


_LAYOUT: dict[Column, Callable[[LatencyCell], str]] = {
    Column("Module", shown=_head("Module", NECESSARY)): _module,
    Column("Placement", shown=_head("Placement", NECESSARY, common="")): lambda cell: (
        placement_text(cell.case.placement, len(cell.slots))
    ),
    Column("Overhead", numeric=True, shown=_head("Overhead", NECESSARY)): estimate,
    Column("95%", numeric=True, shown=_head("95%", 20)): bounds,
    Column("Verdict", shown=_head("Verdict", NECESSARY)): verdict,
    Column("Median", "ms", numeric=True, shown=_head("Median ms", 30)): _figure("median"),
    Column("p90", numeric=True, shown=_head("p90", 60)): _figure("p90"),
    Column("p99", numeric=True, shown=_head("p99", 80)): _figure("p99"),
    Column("Min", numeric=True, shown=_head("Min", 81)): _figure("min"),
    Column("Images/s", numeric=True, shown=_head("Images/s", 82)): _figure("throughput"),
    Column("Peak memory", numeric=True, shown=_head("Peak memory", 50)): _figure("peak"),
    Column("SQNR", "dB", numeric=True, shown=_head("SQNR dB", 40)): _figure("sqnr"),
    Column("Top-1 agreement", "%", numeric=True, shown=_head("Top-1 agreement", 41)): (
        _figure("top1")
    ),
    Column("Trust", shown=_head("Trust", 10, common="")): _trust,
}
