"""JSON serialization of cases and planned tables, for workers and run headers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from attnbench.suites.case import Case, PlannedRow, PlannedTable
from attnbench.suites.conditions import Conditions, Training
from attnbench.suites.schema import Suite


def case_to_json(case: Case) -> dict[str, Any]:
    """Return the fields of a case."""
    return {**asdict(case), "size": list(case.size)}


def case_from_json(content: dict[str, Any]) -> Case:
    """Return the case with the given fields."""
    height, width = content["size"]
    conditions, training = content.get("conditions"), content.get("training")
    return Case(
        **{
            **content,
            "size": (height, width),
            "conditions": Conditions(**conditions) if conditions else None,
            "training": Training(**training) if training else None,
        }
    )


def tables_to_json(suite: Suite, tables: Sequence[PlannedTable]) -> list[list[dict[str, Any]]]:
    """Return the rows of each table: label, number of the row in the suite, cases."""
    return [
        [_row_to_json(layout.row, row) for row in table.rows]
        for layout, table in zip(suite.table, tables, strict=True)
    ]


def tables_from_json(suite: Suite, content: Sequence[Any]) -> list[PlannedTable]:
    """Return the tables of a header, which suffice to show a run without its plugins."""
    return [
        PlannedTable(layout, tuple(_row_from_json(layout.row, row) for row in rows))
        for layout, rows in zip(suite.table, content, strict=True)
    ]


def _row_to_json(rows: Sequence[Any], planned: PlannedRow) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "label": planned.label,
        "row": None if planned.added else rows.index(planned.row),
        "cases": _cases_to_json(planned.cases),
    }
    if planned.latency:
        fields["latency"] = _cases_to_json(planned.latency)
    if planned.against:
        fields["accuracy"] = [_cases_to_json(cases) for cases in planned.accuracy]
        fields["against"] = _cases_to_json(planned.against)
    return fields


def _cases_to_json(cases: Sequence[Case]) -> list[dict[str, Any]]:
    return [case_to_json(case) for case in cases]


def _cases_from_json(content: Sequence[dict[str, Any]]) -> tuple[Case, ...]:
    return tuple(case_from_json(case) for case in content)


def _row_from_json(rows: Sequence[Any], content: dict[str, Any]) -> PlannedRow:
    from attnbench.suites.schema import Row

    cases = _cases_from_json(content["cases"])
    number = content["row"]
    first = cases[0]
    own = (
        Row.model_construct(module=first.module, backbone=first.backbone)
        if number is None
        else rows[number]
    )
    return PlannedRow(
        content["label"],
        own,
        cases,
        latency=_cases_from_json(content.get("latency", ())),
        accuracy=tuple(_cases_from_json(trainings) for trainings in content.get("accuracy", ())),
        against=_cases_from_json(content.get("against", ())),
        added=number is None,
    )
