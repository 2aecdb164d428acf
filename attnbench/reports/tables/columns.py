"""The columns of a table by their keys: heads, cells, and the best of each column in bold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from attnbench.reports.tables.accuracy_columns import (
    accuracy_cells,
    accuracy_columns,
    footnotes_of,
    interval,
)
from attnbench.reports.tables.case_results import placement_text
from attnbench.reports.tables.footnotes import (
    Footnotes,
    agreement,
    all_agree,
    differences,
    sites,
    uncounted_note,
)
from attnbench.reports.tables.latency_columns import latency_cells, latency_columns
from attnbench.reports.tables.number_format import NOTHING, ratio, spread, whole, with_sign
from attnbench.reports.tables.report import NECESSARY, Cell, Column, TextHead
from attnbench.reports.tables.reported_values import DIFFERS, EXPLAINED, NOT_MEASURED, judge, worst
from attnbench.reports.tables.row_views import RowView
from attnbench.suites.schema import Groups, TableLayout

NOT_DECLARED = "not declared"
ADDED = "Asked for with --add; not a row of the suite."
_SHORT_HEADS = {"params": "Parameters", "macs": "MACs", "top1": "Top-1", "top5": "Top-5"}
_TRAITS = {"subspace": "Subspace attention", "mlp": "MLP", "conv1x1": "1×1 conv"}

_HEADS: dict[str, tuple[str, str]] = {
    "label": ("{subject}", ""),
    "placement": ("Placement", ""),
    "params": ("Parameters", "all, BN included"),
    "trainable": ("Trainable parameters", "BN included"),
    "macs": ("MACs", "multiply-adds of conv, linear, matmul; {size}"),
    "activations": ("Activations", "output elements of conv, linear, matmul; {size}"),
    "bytes": ("Bytes", "read and written by each operator, unfused, fp32; {size}"),
    "delta_params": ("Δ parameters", "against the plain backbone"),
    "delta_macs": ("Δ MACs", "against the plain backbone"),
    "params_norm": ("Parameters, norm.", "exact, {reference} = 1"),
    "macs_norm": ("MACs, norm.", "exact, {reference} = 1"),
    "printed_params": ("#Params", "printed / {nominal}"),
    "printed_macs": ("#FLOPs", "multiply-adds, printed / {nominal}"),
    "printed_params_norm": ("#Params, norm.", "printed / {nominal}"),
    "printed_macs_norm": ("#FLOPs, norm.", "printed / {nominal}"),
    "top1": ("Top-1", "%, printed / ours"),
    "top5": ("Top-5", "%, printed / ours"),
    "counters": ("Counters", "reconciled with ours"),
}
_WIDE_HEADS = {
    "traits": [(head, "") for head in _TRAITS.values()],
    "formula": [("#Params", "printed formula"), ("#FLOPs", "printed formula, multiply-adds")],
}
"""Heads of the keys that have several columns."""
_SHORT = {
    "label": ("", NECESSARY),
    "placement": ("Placement", 25),
    "params": ("Params", 30),
    "trainable": ("Trainable", 68),
    "macs": ("MACs", 32),
    "activations": ("Activations", 60),
    "bytes": ("Bytes", 50),
    "delta_params": ("+Params", 20),
    "delta_macs": ("+MACs", 22),
    "params_norm": ("Params ratio", 45),
    "macs_norm": ("MACs ratio", 46),
    "printed_params": ("Printed params", 12),
    "printed_macs": ("Printed FLOPs", 14),
    "printed_params_norm": ("Printed params ratio", 41),
    "printed_macs_norm": ("Printed FLOPs ratio", 43),
    "top1": ("Top-1", 10),
    "top5": ("Top-5", 65),
    "counters": ("Counters", 90),
}
"""Head on a terminal, empty for the full one, and priority by the key of a column."""
_TEXTS = ("label", "placement", "traits", "formula", "counters")


def columns_of(layout: TableLayout, views: Sequence[RowView]) -> list[Column]:
    """Return the columns of a table, in the order of :func:`row_cells`."""
    words = _words(layout, views)
    columns = [column for key in layout.columns for column in _columns(key, words)]
    if groups := layout.groups:
        for value in groups.values:
            name = groups.label.replace("{}", str(value))
            columns += [found for key in groups.columns for found in _columns(key, words, name)]
    latency = views[0].latency
    if latency is not None:
        columns += latency_columns(latency, [view.timed for view in views])
    accuracy = views[0].accuracy
    if accuracy is not None:
        columns += accuracy_columns(accuracy, [view.trained for view in views])
    return columns


def _words(layout: TableLayout, views: Sequence[RowView]) -> dict[str, str]:
    sizes = {result.case.size for view in views for result in view.results}
    height, width = next(iter(sizes))
    alone = all(view.first.case.backbone is None for view in views)
    base = views[0].suite.convention.base
    cases = [view.first.case for view in views]
    is_sum = any(case.module and case.backbone in views[0].suite.nominal for case in cases)
    return {
        "size": f"{height}×{width}" if len(sizes) == 1 else "at the row's size",
        "reference": layout.reference or "no row",
        "nominal": ("by its formula" if alone else "nominal")
        + (" = plain as printed ± change" if is_sum else "")
        + ("" if base == 1000 else f", k and M: powers of {base}"),
        "subject": "Module" if alone else "Model",
        "agreed": all_agree(
            [pair for view in views for pair in view.counters],
            uncounted=any(view.uncounted for view in views),
        ),
        "printed": " ".join({metric for view in views for metric in view.row.printed}),
    }


def _columns(key: str, words: dict[str, str], group: str = "") -> Iterator[Column]:
    for head, unit in _heads(key):
        title, convention = head.format(**words), unit.format(**words)
        shown = _shown(key, title, group, words)
        yield Column(title, convention, group, numeric=key not in _TEXTS, shown=shown)


def _shown(key: str, title: str, group: str, words: Mapping[str, str]) -> tuple[TextHead, ...]:
    """Return a column's heads on a terminal: of a printed figure also that of the verdict."""
    short, priority = _SHORT.get(key, (title, 70))
    name = " ".join(filter(None, (short or title, group.replace(" ", ""))))
    common = {"placement": "", "counters": words["agreed"]}.get(key)
    figure = TextHead(name, priority, key, common=common)
    is_judged = key.startswith("printed_") or (key in words["printed"].split() and "top" in key)
    if not is_judged:
        return (figure,)
    verdict = f"{name} verdict"
    return figure, TextHead("Verdict", priority, "verdict", verdict, "", "", is_verdict=True)


def _heads(key: str) -> list[tuple[str, str]]:
    return _WIDE_HEADS[key] if key in _WIDE_HEADS else [_HEADS[key]]


def row_cells(view: RowView, notes: Footnotes) -> tuple[Cell, ...]:
    """Return the cells of a row; their spans add up to the number of columns."""
    cells = [cell for key in view.layout.columns for cell in _cells(key, view, notes)]
    if view.layout.groups is not None:
        cells += _group_cells(view, view.layout.groups, notes)
    if view.latency is not None:
        cells += latency_cells(view.latency, view.timed, notes)
    if view.accuracy is not None:
        cells += accuracy_cells(view.accuracy, view.trained, notes)
    return tuple(cells)


def _group_cells(view: RowView, groups: Groups, notes: Footnotes) -> Iterator[Cell]:
    if len(view.results) == len(groups.values) > 1:
        for result in view.results:
            only = view.only(result)
            yield from (cell for key in groups.columns for cell in _cells(key, only, notes))
        return
    # one case for all groups, such as the plain backbone: one cell across them, figures named
    cells = [(key, cell) for key in groups.columns for cell in _cells(key, view, notes)]
    texts = [f"{_SHORT_HEADS[key]} {cell.plain}" for key, cell in cells if cell.plain != NOTHING]
    yield Cell(
        "; ".join(texts) or NOTHING,
        notes=tuple(dict.fromkeys(number for _, cell in cells for number in cell.notes)),
        span=len(groups.values) * len(groups.columns),
        parts=tuple(text for _ in groups.values for _, cell in cells for text in cell.texts),
    )


def _cells(key: str, view: RowView, notes: Footnotes) -> Sequence[Cell]:
    maker = _MAKERS.get(key)
    if maker is not None:
        return maker(view, notes)
    if key.startswith("printed_"):
        return [printed_cell(view, key.removeprefix("printed_"), notes)]
    if key.endswith("_norm"):
        return [_ratio_cell(view, key.removesuffix("_norm"))]
    return [_count_cell(view, key, notes)]


def _label(view: RowView, notes: Footnotes) -> Sequence[Cell]:
    failures = (result.failure(view.group_name(result)) for result in view.results)
    numbers = notes.add(ADDED if view.added else "", view.row.note, *failures)
    card = view.card if view.layout.cite else {}
    key, short = card.get("key") or "", card.get("short") or ""
    return [Cell(view.label, notes=numbers, cite=key, citation=short)]


def _placement(view: RowView, notes: Footnotes) -> Sequence[Cell]:
    placement = view.first.case.placement
    placed = next((result for result in view.results if result.slots), None)
    if placed is None:  # its costs were not counted
        others = [*view.timed, *(result for pair in view.trained for result in pair.results)]
        places = max((len(result.slots) for result in others), default=0)
        return [Cell(placement_text(placement, places) or NOTHING)]
    return [Cell(placement or NOTHING, notes=notes.add(sites(placed)))]


def _traits(view: RowView, notes: Footnotes) -> Sequence[Cell]:
    traits = view.card.get("traits")
    if traits is None:
        return [Cell(_undeclared(view), span=len(_TRAITS))]
    return [Cell("✓" if traits.get(name) else "×") for name in _TRAITS]


def _formula(view: RowView, notes: Footnotes) -> Sequence[Cell]:
    printed = view.card.get("printed")
    if not printed:
        return [Cell(_undeclared(view), span=2)]
    return [
        Cell(printed.get(f"{metric}_text") or "", tex=f"${printed.get(f'{metric}_tex') or ''}$")
        for metric in ("params", "macs")
    ]


def _undeclared(view: RowView) -> str:
    return NOT_DECLARED if view.measured else _missing(view)


def printed_cell(view: RowView, metric: str, notes: Footnotes) -> Cell:
    """Return the cell of printed figure, our value and verdict, shared by all cases of the row."""
    found = (judge(view, metric, result) for result in view.results)
    judged = [item for item in found if item is not None]
    if not judged:
        return Cell(NOTHING)
    verdict = worst(item.verdict for item in judged)
    known = [item.ours for item in judged if item.value is not None]
    texts: dict[str, Mapping[Any, str]] = {EXPLAINED: view.row.reasons, DIFFERS: view.row.guesses}
    reason = texts.get(verdict, {}).get(metric, "")
    return Cell(
        printed=spread(item.printed.text for item in judged),
        ours="" if all(item.verdict == NOT_MEASURED for item in judged) else spread(known),
        verdict=verdict,
        notes=notes.add(view.suite.reasons.get(reason, reason)),
    )


def _accuracy(metric: str) -> Callable[[RowView, Footnotes], Sequence[Cell]]:
    """Return the maker of cells with printed accuracy and our mean over seeds (95% interval)."""

    def cell(view: RowView, notes: Footnotes) -> Sequence[Cell]:
        numbers = notes.add(*(text for pair in view.trained for text in footnotes_of(pair)))
        made = printed_cell(view, metric, notes)
        made = replace(made, notes=(*made.notes, *numbers))
        ours = "; ".join(interval(mean) for pair in view.trained if (mean := pair.mean(metric)))
        if not ours:
            return [made]
        return [replace(made, ours=ours) if made.verdict else replace(made, text=ours)]

    return cell


def _ratio_cell(view: RowView, metric: str) -> Cell:
    unit = view.reference.values.get(metric) if view.reference else None
    if not unit or not view.measured:
        return Cell(_missing(view))
    return Cell(spread(ratio(Fraction(value, unit)) for value in view.numbers(metric)))


def _count_cell(view: RowView, key: str, notes: Footnotes) -> Cell:
    numbers = view.numbers(key)
    if not numbers:
        return Cell(_missing(view))
    write = with_sign if key.startswith("delta_") else whole
    backbone = view.first.case.backbone
    by_formula = backbone is None or backbone in view.suite.nominal
    is_printed = key in ("params", "macs") and f"printed_{key}" in view.layout.columns
    reasons = [differences(view.card)] if by_formula and is_printed else []
    unknown = [uncounted_note(view.uncounted)] if key in ("macs", "delta_macs") else []
    return Cell(spread(map(write, numbers)), notes=notes.add(*reasons, *unknown))


def _missing(view: RowView) -> str:
    """Return the placeholder for a missing value: the status of the measurement, or a dash."""
    without = [result for result in view.results if not result.values]
    return without[0].status if without else NOTHING


def _counters(view: RowView, notes: Footnotes) -> Sequence[Cell]:
    reports = view.counters
    return [agreement(reports, notes, view.uncounted) if reports else Cell(_missing(view))]


_MAKERS: dict[str, Callable[[RowView, Footnotes], Sequence[Cell]]] = {
    "label": _label,
    "placement": _placement,
    "traits": _traits,
    "formula": _formula,
    "counters": _counters,
    "top1": _accuracy("top1"),
    "top5": _accuracy("top5"),
}


def embolden(rows: list[tuple[Cell, ...]], views: Sequence[RowView]) -> list[tuple[Cell, ...]]:
    """Return the rows with the best value of each requested column in bold."""
    keys = column_keys(views[0])
    for number, (key, group) in enumerate(keys):
        sense = views[0].layout.best.get(key)  # type: ignore[call-overload]
        if sense is None:
            continue
        figures = [_figure(view, key, group) for view in views]
        known = [figure for figure in figures if figure is not None]
        best = (min if sense == "min" else max)(known, default=None)
        rows = [
            _bold(row, number) if best is not None and figure == best else row
            for row, figure in zip(rows, figures, strict=True)
        ]
    return rows


def column_keys(view: RowView) -> list[tuple[str, int | None]]:
    """Return the key, and the group if any, of each column except those of the runtimes."""
    groups = view.layout.groups
    keys: list[tuple[str, int | None]] = [
        (key, None) for key in view.layout.columns for _ in _heads(key)
    ]
    if groups is not None:
        keys += [(key, number) for number, _ in enumerate(groups.values) for key in groups.columns]
    return keys


def _figure(view: RowView, key: str, group: int | None) -> float | None:
    """Return the single value of a cell; None for a range or a cell across groups."""
    results = view.results if group is None else view.results[group : group + 1]
    if group is not None and len(view.results) == 1:
        return None
    figures = {result.values.get(key) for result in results}
    return figures.pop() if len(figures) == 1 else None


def _bold(row: tuple[Cell, ...], number: int) -> tuple[Cell, ...]:
    start = 0
    for index, cell in enumerate(row):
        if start == number and cell.span == 1:
            return (*row[:index], replace(cell, bold=True), *row[index + 1 :])
        start += cell.span
    return row
