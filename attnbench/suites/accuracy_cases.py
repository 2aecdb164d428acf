"""Accuracy cases of a table's rows, and control rows of wider backbones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from attnbench.errors import RequestError
from attnbench.models.backbones import canonical_backbone
from attnbench.suites.case import Case, Training
from attnbench.suites.planned import PlannedRow
from attnbench.suites.schema import Accuracy
from attnbench.training.recipe import default_recipe, find_recipe

IsoMacBaselineFinder = Callable[[Sequence[Case]], Sequence[str]]
"""Mapping from arms in one backbone to backbones whose width brackets their multiply-adds."""


def add_trainings(row: PlannedRow, accuracy: Accuracy) -> PlannedRow:
    """Return a row with its trainings, if the suite requests trainings for its backbone.

    Raises:
        RequestError: there is no such recipe or backbone.
    """
    first = row.cases[0]
    if first.backbone is None or not _is_trained(row, accuracy):
        return row
    plain = replace(first.plain, backbone=_baseline(row))
    return replace(
        row,
        accuracy=tuple(trainings(case, accuracy) for case in row.cases),
        against=trainings(plain, accuracy),
    )


def trainings(case: Case, accuracy: Accuracy) -> tuple[Case, ...]:
    """Return the trainings of a network, one for each seed."""
    recipe = accuracy.recipe or default_recipe(accuracy.dataset)
    side = find_recipe(recipe).size
    first = Training(
        accuracy.dataset,
        recipe,
        epochs=accuracy.epochs,
        weights=accuracy.weights,
        int8=accuracy.int8,
        threads=accuracy.threads,
    )
    return tuple(
        case.for_training(replace(first, seed=seed), side) for seed in range(accuracy.seeds)
    )


def expand_controls(
    rows: Sequence[PlannedRow], brackets: IsoMacBaselineFinder | None
) -> Iterator[PlannedRow]:
    """Yield the rows of a table, with each ``wider`` row expanded to one row for each backbone."""
    for row in rows:
        if row.row.control is None:
            yield row
        else:
            yield from _bracketing(row, rows, brackets)


def _bracketing(
    row: PlannedRow, rows: Iterable[PlannedRow], brackets: IsoMacBaselineFinder | None
) -> Iterator[PlannedRow]:
    own = row.cases[0].backbone
    if brackets is None:
        raise RequestError("rows with control = wider need a cost meter: got none")
    arms = [
        case
        for table_row in rows
        for case in table_row.cases
        if case.module and case.backbone == own
    ]
    for spec in brackets(arms):
        case = replace(row.cases[0], backbone=spec)
        label = (row.row.label or "{backbone}").replace("{backbone}", spec)
        yield replace(row, label=label, cases=(case,))


def _is_trained(row: PlannedRow, accuracy: Accuracy) -> bool:
    if accuracy.backbones is None:
        return True
    return _baseline(row) in [str(canonical_backbone(backbone)) for backbone in accuracy.backbones]


def _baseline(row: PlannedRow) -> str | None:
    """Return the baseline of a row: its own backbone, or the backbone of a control row."""
    if row.row.control is None:
        return row.cases[0].backbone
    return str(canonical_backbone(str(row.row.backbone)))
