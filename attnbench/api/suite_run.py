"""Runs in Python: a frame, a table and a figure of the records of a suite."""

import io
import shutil
from collections import Counter
from collections.abc import Collection
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure
from pandas import DataFrame
from rich.console import Console

from attnbench.errors import RequestError, unknown
from attnbench.records.store import Run, find_run, read_run
from attnbench.registry.settings import settings
from attnbench.reports.overview.entries import collect
from attnbench.reports.overview.figure import draw_figure
from attnbench.reports.run_report import planned_of, report_of
from attnbench.reports.tables.case_results import NOT_RUN, read_timings
from attnbench.reports.tables.metric_rows import COLUMNS, INTEGERS, metric_rows
from attnbench.reports.tables.render import render
from attnbench.reports.tables.report import Cell, Report, Table
from attnbench.reports.tables.row_views import row_views
from attnbench.reports.terminal import print_report
from attnbench.utils.html_table import html_table
from attnbench.utils.text import shown_path


class RunTable:
    """The tables of a run: text where it is printed, HTML in a notebook."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def render(self, form: str) -> str:
        """Return the tables as ``md``, ``csv``, ``tex`` or ``html``, as ``attnbench table`` does.

        Raises:
            RequestError: the format is unknown.
        """
        return render(self.report, form)

    def __str__(self) -> str:
        written = io.StringIO()
        width = shutil.get_terminal_size((120, 24)).columns
        options = {"highlight": False, "emoji": False, "markup": False}
        print_report(self.report, Console(file=written, width=width, **options))  # type: ignore[arg-type]
        return written.getvalue()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return "\n".join(map(_html, self.report.tables))


class SuiteRun:
    """The records of a run.

    Attributes:
        name: name of the suite.
        path: the record file.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self.name: str = run.header.suite_name
        self.path: Path = run.path

    def to_frame(self) -> DataFrame:
        """Return a tidy pandas frame: a row for each case and metric.

        Its columns say which case it is (``case``, ``kind``, ``backbone``, ``module``,
        ``placement``, ``runtime``, ``dataset``, ``seed`` ...), what was measured (``metric``,
        ``value``, ``low``, ``high``, ``verdict``, ``unit``), and whether it was (``status``,
        ``reason``): a case without values has one row without a metric. Means over seeds stand
        under the name of the training without its seed.
        """
        suite, tables, records = planned_of(self._run)
        timings = read_timings(records)
        rows = metric_rows(
            (view, table.layout.title or suite.suite.title)
            for table in tables
            for view in row_views(suite, table, records, timings)
        )
        # a request for accuracies alone plans the costs of its table, too, and counts none
        kinds = {record.kind for record in self._run.records.values()}
        rows = [row for row in rows if row["status"] != NOT_RUN or row["kind"] in kinds]
        frame = DataFrame(rows, columns=list(COLUMNS))
        numbers = dict.fromkeys(("value", "low", "high"), "float64")
        return frame.astype({**numbers, **dict.fromkeys(INTEGERS, "Int64")})

    def table(self) -> RunTable:
        """Return the tables of the run."""
        return RunTable(report_of(self._run))

    def plot(
        self, placement: str | None = None, figure: str = "modules", labels: Collection[str] = ()
    ) -> Figure:
        """Return a figure of the modules at a placement.

        Args:
            placement: one that the run has; by default its first.
            figure: ``modules``, a row for each with parameters, overhead and accuracy; or the
                accuracy against ``overhead``, ``macs`` or ``params``.
            labels: modules to name in a figure of accuracies.

        Raises:
            UnknownNameError: the run has no such placement.
            RequestError: the run has no module, or nothing to draw in this figure.
        """
        places = {place.name: place for place in collect([planned_of(self._run)])}
        if not places:
            raise RequestError(f"{self.name} has no module: there is nothing to draw.")
        name = next(iter(places)) if placement is None else placement
        if name not in places:
            raise unknown("placement", name, places)
        drawn = draw_figure(places[name], figure, labels)
        # drawn without pyplot, it would be one line of text in a notebook
        vars(drawn)["_repr_png_"] = partial(_png, drawn)
        return drawn

    def __repr__(self) -> str:
        statuses = Counter(record.status for record in self._run.records.values())
        kinds = Counter(record.kind for record in self._run.records.values())
        counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        states = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
        return f"<SuiteRun {self.name!r} in {shown_path(self.path.parent)}: {counted}; {states}>"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def load(run: str | Path, *, out: str | Path | None = None) -> SuiteRun:
    """Return a run for a frame, a table and a figure of it.

    Args:
        run: its folder or record file, or the name of a suite.
        out: folder of runs in which a name is looked up; by default the project's.

    Raises:
        RecordError: there is no such run, or it is damaged.

    Example:
        >>> load("results/quick").to_frame().query("metric == 'ratio' and runtime == 'onnxruntime'")
    """
    return SuiteRun(read_run(find_run(run, settings().runs if out is None else out)))


def _png(figure: Figure) -> bytes:
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=120)
    return written.getvalue()


def _html(table: Table) -> str:
    heads = [f"{column.group} {column.full_head}".strip() for column in table.columns]
    rows = ([text for cell in row for text in _texts(cell)] for row in table.rows)
    notes = [f"[{number}] {note}" for number, note in enumerate(table.footnotes, start=1)]
    return html_table(heads, rows, table.title, [*notes, *table.notes])


def _texts(cell: Cell) -> list[str]:
    marks = "".join(f" [{number}]" for number in cell.notes)
    return [f"{cell.plain}{marks}", *[""] * (cell.span - 1)]
