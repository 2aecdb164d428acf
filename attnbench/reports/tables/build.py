"""The report of a suite, built from its planned tables and its records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from attnbench.reports.tables.accuracy_columns import ACCURACY_RULE, accuracy_notes
from attnbench.reports.tables.cells import column_keys, embolden, row_cells
from attnbench.reports.tables.columns import columns_of
from attnbench.reports.tables.correlation_rows import NOTE, correlation_rows
from attnbench.reports.tables.footnotes import Footnotes
from attnbench.reports.tables.latency_columns import latency_notes
from attnbench.reports.tables.latency_format import VERDICT_RULE
from attnbench.reports.tables.long_format import tidy_lines
from attnbench.reports.tables.report import Cell, Report, Table
from attnbench.reports.tables.row_views import Records, RowView, row_views

if TYPE_CHECKING:
    from attnbench.suites.planned import PlannedTable
    from attnbench.suites.schema import Suite

CONVENTIONS = (
    "MACs: multiply-adds of convolutions, linear layers and matrix products (attention's "
    "included), for one image, and nothing else. One FLOP of a printed table is one multiply-add.",
    "Counts without a unit are exact.",
)
VERDICTS = (
    "Verdicts: reproduced = the printed figure is the source's own (nominal) value, rounded or "
    "cut at the last printed digit; explained = it is not, and a note says why; differs = it is "
    "not, for no known reason; not measured = we have no value."
)


def build_report(
    suite: Suite,
    tables: Sequence[PlannedTable],
    records: Records,
    provenance: Mapping[str, str],
) -> Report:
    """Build the report of a suite.

    Args:
        suite: the suite.
        tables: its planned tables.
        records: records by case name; a case without a record is shown as *not run*.
        provenance: versions of the measuring software by name, in the order of the footer.

    Raises:
        RequestError: a printed figure of the suite cannot be read.
    """
    views = [row_views(suite, table, records) for table in tables]
    flat = [view for rows in views for view in rows]
    built = tuple(
        _table(table, rows, suite.suite.title) for table, rows in zip(tables, views, strict=True)
    )
    return Report(
        name=suite.suite.name,
        title=suite.suite.title,
        source=suite.suite.source,
        url=suite.suite.url,
        notes=tuple(suite.suite.notes),
        tables=built,
        footer=tuple(_footer(suite, flat, provenance)),
        lines=tuple(
            line
            for table, rows in zip(built, views, strict=True)
            for view in rows
            for line in tidy_lines(view, table.title)
        ),
        bibtex=_bibtex(flat),
    )


def _table(table: PlannedTable, views: Sequence[RowView], title: str) -> Table:
    notes = Footnotes()
    columns = tuple(columns_of(table.layout, views))
    rows = embolden([row_cells(view, notes) for view in views], views)
    return Table(
        title=table.layout.title or title,
        columns=columns,
        rows=(*rows, *_correlations(views, len(columns))),
        notes=(
            *table.layout.notes,
            *latency_notes([view.timed for view in views]),
            *accuracy_notes([pair for view in views for pair in view.trained]),
        ),
        footnotes=notes.texts,
    )


def _correlations(views: Sequence[RowView], width: int) -> Iterator[tuple[Cell, ...]]:
    latency = views[0].latency
    if latency is not None:
        keys: list[str | None] = [key for key, _ in column_keys(views[0])]
        yield from correlation_rows(views, latency, keys + [None] * (width - len(keys)))


def _footer(suite: Suite, views: Sequence[RowView], provenance: Mapping[str, str]) -> Iterator[str]:
    if suite.suite.source:
        yield f"Printed figures: {suite.suite.source}."
    if any(view.row.printed for view in views):
        yield VERDICTS
    yield from CONVENTIONS
    if any(view.timed for view in views):
        yield VERDICT_RULE
        yield NOTE
    if any(pair.own for view in views for pair in view.trained):
        yield ACCURACY_RULE
    yield from _counter_units(views)
    yield f"Suite {suite.suite.name}, version {suite.suite.version}."
    if provenance:
        measured = ", ".join(f"{name} {version}" for name, version in provenance.items())
        yield f"Measured with {measured}."


def _counter_units(views: Sequence[RowView]) -> Iterator[str]:
    units = {
        name: report["unit"]
        for view in views
        for result in view.measured
        for name, report in result.counters.items()
    }
    yield from (f"{name} counts {unit}." for name, unit in units.items())


def _bibtex(views: Sequence[RowView]) -> tuple[str, ...]:
    entries = {
        view.card["key"]: view.card["bibtex"]
        for view in views
        if view.card.get("key") and view.card.get("bibtex")
    }
    return tuple(entries[key] for key in sorted(entries))
