"""Figures of a run's accuracies: paired differences and training curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.records.store import Run
from attnbench.reports.tables.accuracy_results import trained
from attnbench.suites.case import tables_from_json
from attnbench.suites.load import parse_suite

if TYPE_CHECKING:
    from attnbench.reports.tables.accuracy_results import PairedTrainings


def write_plots(run: Run, folder: Path) -> list[Path]:
    """Write ``differences.png`` and ``curves.png`` if the run has accuracies; return the paths."""
    found = dict(_results(run))
    measured = {label: pair for label, pair in found.items() if pair.own}
    if not measured:
        return []
    from attnbench.reports.figures.figure_files import save  # matplotlib
    from attnbench.reports.figures.training_curves import draw_curves, draw_differences

    title = str(run.header.suite["suite"]["title"])
    rows = [row for label, pair in measured.items() if (row := _row(label, pair))]
    written = [save(draw_differences(rows, title), folder / "differences.png")] if rows else []
    curves = {label: _curves(pair) for label, pair in measured.items()}
    return [*written, save(draw_curves(curves, title), folder / "curves.png")]


def _results(run: Run) -> Iterator[tuple[str, PairedTrainings]]:
    suite = parse_suite(run.header.suite, str(run.path))
    records: Mapping[str, Any] = {name: item.model_dump() for name, item in run.records.items()}
    for table in tables_from_json(suite, run.header.tables):
        for row, results in zip(table.rows, trained(table.rows, records), strict=True):
            for case, pair in zip(row.cases, results, strict=False):
                more = f" ({case.module})" if len(results) > 1 else ""
                yield f"{row.label}{more}", pair


def _row(label: str, pair: PairedTrainings) -> tuple[str, list[float], float, float, float] | None:
    found = pair.difference()
    if pair.is_plain or found is None:
        return None
    return label, pair.differences(), found.mean, found.low, found.high


def _curves(pair: PairedTrainings) -> list[Any]:
    return [record["training"]["curve"] for _, record in sorted(pair.own.items())]
