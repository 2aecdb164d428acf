"""Tables of a run for a paper: their columns, rows, captions and notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from attnbench.reports.paper.column_choice import (
    MOST_COLUMNS,
    named_columns,
    place_of,
    ranked_columns,
    with_shared_heads,
)
from attnbench.reports.paper.columns import PaperColumn, paper_columns
from attnbench.reports.paper.figures import Figure
from attnbench.reports.paper.fit import Fit, fit_page, fits_with
from attnbench.reports.paper.typeset import TILDE, TypesetColumn
from attnbench.reports.tables.accuracy_columns import accuracy_notes
from attnbench.reports.tables.accuracy_results import NOT_MEASURED
from attnbench.reports.tables.case_results import LatencyCell, Records, placement_text, read_timings
from attnbench.reports.tables.latency_columns import latency_notes, short_setting
from attnbench.reports.tables.row_views import RowView, row_views
from attnbench.reports.tables.terms import DIFFERENCE_RULE, MACS_RULE, OVERHEAD_RULE
from attnbench.reports.tables.verdict_marks import legend
from attnbench.suites.planned import PlannedTable
from attnbench.suites.schema import PaperLayout, Suite


@dataclass(frozen=True)
class PaperTable:
    """A table of a paper."""

    title: str
    columns: tuple[TypesetColumn, ...]
    notes: tuple[str, ...]
    starts: frozenset[int]
    """Rows before which there is a space: each plain network but the first."""
    fit: Fit

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return len(self.columns[0].column.figures)


def build_paper(
    suite: Suite,
    tables: Sequence[PlannedTable],
    records: Records,
    *,
    two_column: bool = False,
    columns: Sequence[str] = (),
) -> list[PaperTable]:
    """Return the tables of a suite as a paper prints them, without those of nothing measured.

    Args:
        suite: the suite.
        tables: its planned tables.
        records: records by case name.
        two_column: whether the tables go across both columns of a two-column page.
        columns: keys of the columns, instead of the suite's or those that fit.

    Raises:
        UnknownNameError: a key is of no column.
    """
    timings = read_timings(records)
    made: list[_Draft] = []
    for table in tables:
        views = _rows(row_views(suite, table, records, timings), table.layout.paper)
        if table.layout.paper.beside and made:
            made[-1] = _beside(made[-1], _draft(table.layout.paper, suite, views, columns))
        else:
            made.append(_draft(table.layout.paper, suite, views, columns))
    return [_table(draft, two_column) for draft in made if not draft.is_empty]


@dataclass(frozen=True)
class _Draft:
    title: str
    views: Sequence[RowView]
    columns: tuple[PaperColumn, ...]
    head: str
    """Head above the columns of accuracy."""
    notes: tuple[str, ...]
    is_chosen: bool
    """Whether the suite or the command names the columns, which then are all shown."""

    @property
    def is_empty(self) -> bool:
        """Return whether the table is of latency or accuracy, and has neither."""
        layout = self.views[0].layout
        if not (layout.latency or layout.accuracy) or any(view.row.printed for view in self.views):
            return False
        return not any(view.timed and view.timed[0].timing for view in self.views) and not any(
            pair.own for view in self.views for pair in view.trained
        )


def _rows(views: Sequence[RowView], paper: PaperLayout) -> list[RowView]:
    is_shown = [view.added or bool(view.row.printed) or paper.rows == "all" for view in views]
    return [view for view, shown in zip(views, is_shown, strict=True) if shown]


def _draft(
    paper: PaperLayout, suite: Suite, views: Sequence[RowView], requested: Sequence[str]
) -> _Draft:
    layout = views[0].layout
    keys = requested or paper.columns
    columns = paper_columns(views)
    chosen = named_columns(columns, keys) if keys else ranked_columns(columns)
    return _Draft(
        paper.title or layout.title or suite.suite.title,
        views,
        tuple(chosen),
        paper.head or "",
        tuple(layout.notes if paper.notes is None else paper.notes),
        bool(keys),
    )


def _beside(above: _Draft, draft: _Draft) -> _Draft:
    """Return the table above with the accuracy columns of another, matched by label."""
    columns = with_shared_heads(draft.columns, draft.head)
    labels = {view.label: number for number, view in enumerate(draft.views)}
    places = [labels.get(view.label) for view in above.views]
    added = [
        replace(
            column,
            figures=tuple(Figure() if at is None else column.figures[at] for at in places),
        )
        for column in columns
        if column.key in ("top1", "top5", "difference")
    ]
    notes = tuple(dict.fromkeys((*above.notes, *draft.notes)))
    own = tuple(with_shared_heads(above.columns, above.head))
    return replace(above, columns=(*own, *added), head="", notes=notes)


def _table(draft: _Draft, two_column: bool) -> PaperTable:
    columns = list(draft.columns)
    if not draft.is_chosen:
        columns = sorted(fits_with(columns, MOST_COLUMNS, two_column), key=place_of)
    columns = list(with_shared_heads(columns, draft.head))
    notes = tuple(_notes(draft, columns))
    starts = frozenset(
        number
        for number, view in enumerate(draft.views)
        if number and view.first.case.module is None and _is_followed(draft.views, number)
    )
    typeset = tuple(map(TypesetColumn, columns))
    return PaperTable(
        draft.title,
        typeset,
        notes,
        starts,
        fit_page(typeset, len(draft.views), notes, draft.title, two_column),
    )


def _is_followed(views: Sequence[RowView], number: int) -> bool:
    """Return whether a plain network starts a block: its modules follow it."""
    after = views[number + 1 :]
    return bool(after) and after[0].first.case.module is not None


def _notes(draft: _Draft, columns: Sequence[PaperColumn]) -> Iterator[str]:
    keys = {column.key for column in columns}
    yield from draft.notes
    if "placement" not in keys:
        yield from _place(draft.views)
    if any("macs" in key for key in keys):
        yield MACS_RULE
    if "overhead" in keys:
        yield OVERHEAD_RULE
        yield from latency_notes(_shown_timings(draft.views, columns))
    if "difference" in keys:
        yield DIFFERENCE_RULE
        yield from accuracy_notes([pair for view in draft.views for pair in view.trained])
    figures = [figure for column in columns for figure in column.figures]
    if any(figure.number and figure.verdict == NOT_MEASURED for figure in figures):
        yield "Accuracies as printed, not measured here."
    yield from (
        f"{setting}." for setting in dict.fromkeys(column.setting for column in columns) if setting
    )
    if words := legend(figure.verdict for figure in figures):
        yield f"{words}.".replace("~", TILDE)


def _place(views: Sequence[RowView]) -> Iterator[str]:
    found = {view.first.case.placement: view for view in views if view.first.case.placement}
    if len(found) == 1 and views[0].layout.paper.notes is None:
        ((placement, view),) = found.items()
        yield f"Placement: {placement_text(placement, len(view.first.slots))}."


def _shown_timings(
    views: Sequence[RowView], columns: Sequence[PaperColumn]
) -> list[list[LatencyCell]]:
    """Return the timings of the runtimes that the columns show."""
    shown = {column.setting.partition(":")[0] for column in columns}
    return [
        [cell for cell in view.timed if short_setting(str(cell.conditions)) in shown]
        for view in views
    ]
