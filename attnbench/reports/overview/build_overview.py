"""The report of an overview, built from places and their modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from attnbench.reports.overview.columns import common, figures, ranked
from attnbench.reports.overview.entries import OverviewEntry, Place
from attnbench.reports.overview.notes import place_notes
from attnbench.reports.overview.to_json import lines
from attnbench.reports.tables.accuracy_columns import ACCURACY_RULE
from attnbench.reports.tables.build import CONVENTIONS
from attnbench.reports.tables.case_result import NOT_RUN
from attnbench.reports.tables.footnotes import Footnotes
from attnbench.reports.tables.latency_format import VERDICT_RULE
from attnbench.reports.tables.number_format import NOTHING
from attnbench.reports.tables.report import Cell, Column, Report, Table

if TYPE_CHECKING:
    from attnbench.reports.tables.row_views import CostResult

NOT_DECLARED = "not declared"


def build_overview(
    places: Sequence[Place], sources: Sequence[str], provenance: Mapping[str, str]
) -> Report:
    """Return the report of an overview.

    Args:
        places: the collected places.
        sources: names of the runs.
        provenance: the versions of the measuring software, by name.
    """
    tables = tuple(_table(place) for place in places)
    entries = [entry for place in places for entry in place.entries.values()]
    cards = {entry.card["key"]: entry.card for entry in entries if entry.card.get("key")}
    return Report(
        name="overview",
        title="Attention modules side by side",
        source="",
        url="",
        notes=(),
        tables=tables,
        footer=tuple(_footer(places, sources, provenance)),
        lines=tuple(line for place in places for line in lines(place)),
        bibtex=tuple(cards[key]["bibtex"] for key in sorted(cards)),
    )


def _table(place: Place) -> Table:
    notes, shown = Footnotes(), list(figures(place))
    rows = tuple(
        (
            *_module_cells(entry, notes),
            *(Cell(column.text(entry), notes=notes.add(*column.notes(entry))) for column in shown),
        )
        for entry in ranked(place)
    )
    return Table(
        title=f"At {place.name}",
        columns=(
            Column("Module"),
            Column("Family"),
            Column("Paper"),
            *(column.column for column in shown),
        ),
        rows=rows,
        notes=tuple(place_notes(place)),
        footnotes=notes.texts,
    )


def _module_cells(entry: OverviewEntry, notes: Footnotes) -> Iterator[Cell]:
    failures = (_failure(result) for result in entry.costs.values())
    yield Cell(entry.module, notes=notes.add(*failures))
    yield Cell(entry.card.get("family") or NOT_DECLARED)
    yield Cell(entry.card.get("short") or NOTHING, cite=entry.card.get("key") or "")


def _failure(result: CostResult) -> str:
    if result.values or result.status == NOT_RUN:  # the cells show this status
        return ""
    return f"{result.case.name}: {result.status}: {result.reason}"


def _footer(
    places: Sequence[Place], sources: Sequence[str], provenance: Mapping[str, str]
) -> Iterator[str]:
    yield (
        "Rows are in the order of their first overhead. Costs are what the module adds to the "
        "plain network; the verdicts are those of the runs' own tables."
    )
    yield from CONVENTIONS
    if any(common(place, "latencies") for place in places):
        yield VERDICT_RULE
    if any(common(place, "accuracies") for place in places):
        yield ACCURACY_RULE
    measured = ", ".join(f"{name} {version}" for name, version in provenance.items())
    yield f"From the runs {', '.join(sources)}, measured with {measured}."
