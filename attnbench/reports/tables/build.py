"""The report of a suite, built from its planned tables and its records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attnbench.reports.tables.accuracy_columns import accuracy_notes
from attnbench.reports.tables.case_results import Records, read_timings
from attnbench.reports.tables.columns import column_keys, columns_of, embolden, row_cells
from attnbench.reports.tables.footnotes import Footnotes, counter_units
from attnbench.reports.tables.latency_columns import latency_notes, short_setting
from attnbench.reports.tables.long_format import tidy_lines
from attnbench.reports.tables.number_format import NOTHING
from attnbench.reports.tables.report import Cell, Column, Report, Table
from attnbench.reports.tables.row_views import RowView, row_views
from attnbench.reports.tables.terms import (
    ACCURACY_RULE,
    CONVENTIONS,
    CORRELATION,
    DIFFERENCE_RULE,
    MACS_RULE,
    NOMINAL,
    OVERHEAD_RULE,
    VERDICT_RULE,
    VERDICTS,
    pointer,
)
from attnbench.stats.rank_correlation import spearman
from attnbench.suites.planned import PlannedTable
from attnbench.suites.schema import Suite

RANKED = ("params", "trainable", "macs", "activations", "bytes", "delta_params", "delta_macs")
"""Columns whose rank correlation with the overhead is shown."""


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
        brief=tuple(_brief(flat)),
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
        details=notes.details,
        keys=_keys(columns, views),
        merits=tuple(map(_merit, views)),
    )


def _keys(columns: Sequence[Column], views: Sequence[RowView]) -> int:
    """Return how many columns name a row: the label, and behind equal ones the placement."""
    is_placed = columns[1:] and columns[1].heads[0].key == "placement"
    return 2 if is_placed and len({view.label for view in views}) < len(views) else 1


def _merit(view: RowView) -> float | None:
    """Return the overhead of a row, or without a latency the accuracy that it loses."""
    if view.timed:
        return view.timed[0].ratio
    found = view.trained[0].difference() if view.trained else None
    return -found.mean if found else None


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
            text = f"rank correlation with overhead in {conditions}"
            head = Cell(text, parts=(f"rank correlation, {short_setting(str(conditions))}",))
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
    counted = counter_units(pair for view in views for pair in view.counters)
    yield from (f"{unit}." for unit in counted)
    yield f"Suite {suite.suite.name}, version {suite.suite.version}."
    if provenance:
        measured = ", ".join(f"{name} {version}" for name, version in provenance.items())
        yield f"Measured with {measured}."


def _brief(views: Sequence[RowView]) -> Iterator[str]:
    """Yield the methods, each in a sentence, and where their terms are explained."""
    timed = any(view.timed for view in views)
    trained = any(pair.own for view in views for pair in view.trained)
    counted = any({*view.layout.columns} - {"label", "placement"} for view in views)
    yield from [MACS_RULE] * counted + [OVERHEAD_RULE] * timed + [DIFFERENCE_RULE] * trained
    terms = ["macs"] * counted + ["overhead"] * timed + ["accuracy"] * trained
    printed = ["printed"] * any(view.row.printed for view in views)
    yield pointer(*printed, *terms)


def _bibtex(views: Sequence[RowView]) -> tuple[str, ...]:
    entries = {
        card["key"]: card["bibtex"]
        for card in (view.card for view in views)
        if card.get("key") and card.get("bibtex")
    }
    return tuple(entries[key] for key in sorted(entries))
