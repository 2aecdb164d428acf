"""Figures of a run's accuracies: the paired differences, and the training curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.records.store import Run
from attnbench.reports.tables.accuracy_results import trained
from attnbench.suites.load import parse_suite
from attnbench.suites.serialize import tables_from_json

if TYPE_CHECKING:
    from attnbench.reports.tables.accuracy_results import PairedTrainings


def write_plots(run: Run, folder: Path) -> list[Path]:
    """Write ``differences.png`` and ``curves.png`` for a run with accuracies; else nothing."""
    found = dict(_results(run))
    measured = {label: one for label, one in found.items() if one.own}
    if not measured:
        return []
    from attnbench.reports.figures.figure_files import save  # matplotlib
    from attnbench.reports.figures.training_curves import draw_curves, draw_differences

    title = str(run.header.suite["suite"]["title"])
    rows = [row for label, one in measured.items() if (row := _row(label, one))]
    written = [save(draw_differences(rows, title), folder / "differences.png")] if rows else []
    curves = {label: _curves(one) for label, one in measured.items()}
    return [*written, save(draw_curves(curves, title), folder / "curves.png")]


def _results(run: Run) -> Iterator[tuple[str, PairedTrainings]]:
    suite = parse_suite(run.header.suite, str(run.path))
    records: Mapping[str, Any] = {name: one.model_dump() for name, one in run.records.items()}
    for table in tables_from_json(suite, run.header.tables):
        for row, results in zip(table.rows, trained(table.rows, records), strict=True):
            for case, one in zip(row.cases, results, strict=False):
                more = f" ({case.module})" if len(results) > 1 else ""
                yield f"{row.label}{more}", one


def _row(label: str, one: PairedTrainings) -> tuple[str, list[float], float, float, float] | None:
    found = one.difference()
    if one.is_plain or found is None:
        return None
    return label, one.differences(), found.mean, found.low, found.high


def _curves(one: PairedTrainings) -> list[Any]:
    return [record["training"]["curve"] for _, record in sorted(one.own.items())]
