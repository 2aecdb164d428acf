"""The report of a suite, built from its planned tables and its records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attnbench.reports.tables.accuracy_columns import ACCURACY_RULE, accuracy_notes
from attnbench.reports.tables.case_results import Records, read_timings
from attnbench.reports.tables.columns import column_keys, columns_of, embolden, row_cells
from attnbench.reports.tables.footnotes import Footnotes, counter_units
from attnbench.reports.tables.latency_columns import VERDICT_RULE, latency_notes
from attnbench.reports.tables.long_format import tidy_lines
from attnbench.reports.tables.number_format import NOTHING
from attnbench.reports.tables.report import Cell, Report, Table
from attnbench.reports.tables.row_views import RowView, row_views
from attnbench.stats.rank_correlation import spearman
from attnbench.suites.planned import PlannedTable
from attnbench.suites.schema import Suite

CONVENTIONS = (
    "MACs: multiply-adds of convolutions, linear layers and matrix products (attention's "
    "included), for one image, and nothing else. One FLOP of a printed table is one multiply-add.",
    "Counts without a unit are exact.",
)
RANKED = ("params", "trainable", "macs", "activations", "bytes", "delta_params", "delta_macs")
"""Columns whose rank correlation with the overhead is shown."""
CORRELATION = (
    "Rank correlation: Spearman's, of a column with the overhead in a runtime, over the "
    "modules' plain forms: 1 where the column ranks the modules as time does, 0 where it says "
    "nothing of it."
)
VERDICTS = (
    "Verdicts: reproduced = the printed figure is the source's own (nominal) value at the last "
    "printed digit, both rounded and cut; by rounding, by cutting = by that alone; explained = it "
    "is not, and a note derives it; differs = it is not, for no known reason, though a note may "
    "guess; not measured = we have no value."
)
NOMINAL = (
    "A nominal value written as a sum is not our count of the network: it starts from the plain "
    "network's figure as the source prints it, and adds the change by the source's formulas. The "
    "columns without a printed figure have our counts."
)


def build_report(
    suite: Suite, tables: Sequence[PlannedTable], records: Records, provenance: Mapping[str, str]
) -> Report:
    """Build the report of a suite; a case without a record is shown as *not run*.

    Args:
        suite: the suite.
        tables: its planned tables.
        records: records by case name.
        provenance: versions of the measuring software by name, in the order of the footer.

    Raises:
        RequestError: a printed figure of the suite cannot be read.
    """
    timings = read_timings(records)
    views = [row_views(suite, table, records, timings) for table in tables]
    flat = [view for rows in views for view in rows]
    titled = list(zip(tables, views, strict=True))
    built = tuple(_table(table, rows, suite.suite.title) for table, rows in titled)
    return Report(
        name=suite.suite.name,
        title=suite.suite.title,
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
    """Yield a row for each runtime, with Spearman's correlations of the columns."""
    # fused forms would count a module twice, with one cost and two times
    cases = ((view, view.first.case) for view in views)
    placed = [view for view, case in cases if case.module and not case.fused]
    keys = [key for key, _ in column_keys(views[0])]
    latency = views[0].latency
    for number, conditions in enumerate(latency.conditions() if latency else ()):
        cells = [_correlation(placed, number, key) for key in keys[1:]]
        if any(cell.text not in ("", NOTHING) for cell in cells):
            head = Cell(f"rank correlation with overhead in {conditions}")
            yield (head, *cells, *[Cell()] * (width - len(keys)))


def _correlation(views: Sequence[RowView], number: int, key: str) -> Cell:
    if key not in RANKED:
        return Cell()
    pairs = [
        (float(view.first.values[key]), ratio)
        for view in views
        if view.first.values.get(key) is not None
        and (ratio := view.timed[number].ratio) is not None
    ]
    value = spearman(pairs)
    return Cell(NOTHING if value is None else f"{value:.2f}")


def _footer(suite: Suite, views: Sequence[RowView], provenance: Mapping[str, str]) -> Iterator[str]:
    if suite.suite.source:
        yield f"Printed figures: {suite.suite.source}."
    if any(view.row.printed for view in views):
        yield VERDICTS
    if suite.nominal:
        yield NOMINAL
    yield from CONVENTIONS
    if any(view.timed for view in views):
        yield VERDICT_RULE
        yield CORRELATION
    if any(pair.own for view in views for pair in view.trained):
        yield ACCURACY_RULE
    results = (result for view in views for result in view.measured)
    counted = counter_units(item for result in results for item in result.counters.items())
    yield from (f"{unit}." for unit in counted)
    yield f"Suite {suite.suite.name}, version {suite.suite.version}."
    if provenance:
        measured = ", ".join(f"{name} {version}" for name, version in provenance.items())
        yield f"Measured with {measured}."


def _bibtex(views: Sequence[RowView]) -> tuple[str, ...]:
    entries = {
        card["key"]: card["bibtex"]
        for card in (view.card for view in views)
        if card.get("key") and card.get("bibtex")
    }
    return tuple(entries[key] for key in sorted(entries))
