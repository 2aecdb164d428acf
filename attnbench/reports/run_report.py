"""The report and table files of a run, built from its records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.errors import RecordError, RequestError, unknown
from attnbench.records.store import Run
from attnbench.reports.figures.figure_files import save
from attnbench.reports.figures.training_curves import draw_accuracies
from attnbench.reports.tables.build import build_report
from attnbench.reports.tables.case_results import Records
from attnbench.reports.tables.render import write
from attnbench.reports.tables.report import Report
from attnbench.suites.load import parse_suite
from attnbench.suites.planned import PlannedTable, tables_from_json
from attnbench.suites.schema import Suite
from attnbench.utils.text import shown_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def planned_of(run: Run) -> tuple[Suite, list[PlannedTable], Records]:
    """Return the suite and tables of a run's last header, and its records by case name.

    Raises:
        RecordError: the tables are not those of the suite.
    """
    suite = parse_suite(run.header.suite, shown_path(run.path))
    try:
        tables = tables_from_json(suite, run.header.tables)
    except ValueError as error:
        place = shown_path(run.path)
        raise RecordError(f"{place}: damaged header: {error}. Run the suite again") from error
    return suite, tables, records_of(run)


def records_of(run: Run) -> dict[str, dict[str, Any]]:
    """Return the records of a run as plain data, by case name."""
    return {name: dict(record) for name, record in run.records.items()}


def report_of(run: Run) -> Report:
    """Return the report of a run, built from its records and last header alone."""
    return build_report(*planned_of(run), run.measured_with())


def write_tables(run: Run, folder: Path) -> tuple[Report, str]:
    """Write the tables and figures of a run; return the report and the sentence on its files."""
    planned = planned_of(run)
    report = build_report(*planned, run.measured_with())
    drawn = draw_accuracies(*planned).items()
    figures = [save(figure, folder / f"{name}.png") for name, figure in drawn]
    written = [*write(report, folder), *figures]
    return report, f"wrote {len(written)} files to {shown_path(folder)}"


def draw_run(run: Run, name: str) -> Figure:
    """Return a figure of a run: ``curves``, ``differences``, or an ablation by what varies.

    Raises:
        RequestError: the run has no such figure; the error names those that it has.
    """
    from attnbench.reports.overview.ablation import draw_ablation, read_arms, variables_of

    suite, tables, records = planned_of(run)
    drawn = draw_accuracies(suite, tables, records)
    if name in drawn:
        return drawn[name]
    arms = read_arms(suite, tables, records)
    variables = variables_of(arms)
    if not (drawn or variables):
        raise RequestError(
            f"the run has no figures: got --figure {name}, but nothing was trained in it, and "
            "neither an option nor the number of sites varies. Name another run"
        )
    if name not in variables:
        raise unknown("--figure", name, (*drawn, *variables))
    return draw_ablation(arms, name, suite.suite.title)
