"""The columns of a paper's table: those of the full one that its rows need, with their figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from attnbench.reports.paper.figures import Figure, count_figures, mark_best, read_figure
from attnbench.reports.paper.row_names import row_names
from attnbench.reports.tables.columns import columns_of, row_cells
from attnbench.reports.tables.footnotes import Footnotes
from attnbench.reports.tables.number_format import NOTHING
from attnbench.reports.tables.report import Cell, Column
from attnbench.reports.tables.row_views import RowView
from attnbench.reports.tables.verdict_marks import STATUSES

COUNTS = ("params", "trainable", "macs", "activations", "bytes", "delta_params", "delta_macs")
_HEADS = {
    "params": "Params",
    "trainable": "Trainable",
    "macs": "MACs",
    "activations": "Activations",
    "bytes": "Bytes",
    "delta_params": "+Params",
    "delta_macs": "+MACs",
    "printed_params": "Params",
    "printed_macs": "FLOPs",
    "printed_params_norm": "Params, norm.",
    "printed_macs_norm": "FLOPs, norm.",
    "difference": "Difference",
    "int8": "Top-1, int8",
}
_UNITS = {"difference": "points", "top1": "%", "top5": "%", "int8": "%"}
_SENSES = {"overhead": "min", "difference": "max", "top1": "max", "top5": "max", "int8": "max"}
"""Whether less or more is better."""
_BLANK = ("", NOTHING, *STATUSES)


@dataclass(frozen=True)
class PaperColumn:
    """A column with the figures of all rows."""

    key: str
    head: str
    figures: tuple[Figure, ...]
    unit: str = ""
    group: str = ""
    """Head above this column and its neighbors of the same group."""
    setting: str = ""
    """Conditions of the measurement."""
    is_grouped: bool = False
    """Whether the column varies an option of the module across the table."""

    @property
    def is_empty(self) -> bool:
        """Return whether no row has a figure or a text of its own."""
        return all(not figure.number and figure.text in (*_BLANK, "A/A") for figure in self.figures)

    @property
    def constant(self) -> str:
        """Return the text that all rows with any have in common; empty if there are several."""
        texts = {figure.text for figure in self.figures if figure.text not in _BLANK}
        is_text = not any(figure.number for figure in self.figures)
        return texts.pop() if is_text and len(texts) == 1 else ""


def paper_columns(views: Sequence[RowView]) -> list[PaperColumn]:
    """Return all columns of a table whose rows are ``views``, with the best figures marked."""
    columns = columns_of(views[0].layout, views)
    rows = [_spread(row_cells(view, Footnotes()), columns) for view in views]
    eligible = [_adds_something(view) for view in views]
    made = [
        found
        for number, column in enumerate(columns)
        for found in _columns(column, [row[number] for row in rows])
    ]
    return [_marked(column, eligible) for column in _completed(made, views)]


def _marked(column: PaperColumn, eligible: Sequence[bool]) -> PaperColumn:
    if column.key not in _SENSES:
        return column
    figures = mark_best(column.figures, _SENSES[column.key], eligible)
    return replace(column, figures=tuple(figures))


def _spread(row: Sequence[Cell], columns: Sequence[Column]) -> list[tuple[Cell, list[str]]]:
    """Return for each column its cell and the texts in it, also of a cell across several."""
    found: list[tuple[Cell, list[str]]] = []
    for cell in row:
        texts = iter(cell.texts)
        spanned = columns[len(found) : len(found) + cell.span]
        found += [(cell, [next(texts, "") for _ in column.heads]) for column in spanned]
    return found


def _columns(column: Column, cells: Sequence[tuple[Cell, list[str]]]) -> Iterator[PaperColumn]:
    """Yield a column, and behind a printed accuracy ours, if it was measured."""
    first = column.heads[0]
    key, is_grouped = first.key, bool(column.group and not first.setting)
    figures = [_figure(key, cell, texts) for cell, texts in cells]
    units = {figure.unit for figure in figures if figure.number}
    unit = _UNITS.get(key) or (units.pop() if len(units) == 1 else "")
    made = PaperColumn(key, _HEADS.get(key, column.head), tuple(figures), unit, column.group)
    if first.setting:
        head = made.head if key in _UNITS else first.head
        group = "Overhead" if key == "overhead" and head != "Overhead" else ""
        made = replace(made, head=head, group=group, setting=f"{first.setting}: {column.group}")
    made = replace(made, is_grouped=is_grouped, unit="" if is_grouped else unit)
    yield made
    ours = [read_figure(texts[0].partition(" / ")[2]) for _, texts in cells]
    if key in ("top1", "top5") and any(figure.number for figure in ours):
        head = f"{made.head}, ours"
        yield replace(made, head=head, figures=tuple(ours))


def _figure(key: str, cell: Cell, texts: Sequence[str]) -> Figure:
    first = texts[0].partition(" / ")[0]
    if key in ("label", "traits", "formula"):
        return Figure(text=first)
    if len(texts) == 3:
        return read_figure(*texts)
    found = read_figure(first, verdict=texts[-1] if len(texts) == 2 else "")
    return replace(found, is_shared=cell.span > 1)


def _completed(columns: Sequence[PaperColumn], views: Sequence[RowView]) -> Iterator[PaperColumn]:
    """Yield the columns with readable names, and counts in the unit of printed ones beside."""
    printed = {column.key: column.figures for column in columns if "printed" in column.key}
    for column in columns:
        if column.key == "label":
            yield replace(column, figures=tuple(Figure(text=name) for name in row_names(views)))
        elif column.key in COUNTS and not column.is_grouped:
            beside = printed.get(f"printed_{column.key}", ())
            is_delta = column.key.startswith("delta")
            counts = [
                () if is_delta and view.first.case.module is None else view.numbers(column.key)
                for view in views
            ]
            figures, unit = count_figures(counts, beside)
            yield replace(column, figures=tuple(figures), unit=unit)
        else:
            yield column


def _adds_something(view: RowView) -> bool:
    """Return whether a row is a module that costs something, and no plain or identity control."""
    values = view.first.values
    costs = ("params", "macs", "bytes")
    added = [values.get(f"delta_{key}", values.get(key)) for key in costs]
    return view.first.case.module is not None and any(cost != 0 for cost in added)
