"""Rows and tables of cases of a planned suite, and their JSON form in a run's header."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from attnbench.suites.case import Case, case_from_json
from attnbench.suites.schema import Row, Suite, TableLayout


@dataclass(frozen=True)
class PlannedRow:
    """A row of a table with its cases: one case, or one per column group."""

    label: str
    row: Row
    cases: tuple[Case, ...]
    latency: tuple[Case, ...] = ()
    """Latency cases of the same network, one for each group of columns."""
    accuracy: tuple[tuple[Case, ...], ...] = ()
    """Trainings of each of ``cases``, one for each seed; empty if none are requested."""
    against: tuple[Case, ...] = ()
    """Trainings of the plain backbone, one for each seed."""
    added: bool = False
    """Origin on the command line instead of the suite file."""


@dataclass(frozen=True)
class PlannedTable:
    """A table with its rows."""

    layout: TableLayout
    rows: tuple[PlannedRow, ...]


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


def _row_to_json(rows: Sequence[Row], planned: PlannedRow) -> dict[str, Any]:
    content: dict[str, Any] = {
        "label": planned.label,
        "row": None if planned.added else rows.index(planned.row),
        "cases": [case.to_json() for case in planned.cases],
    }
    if planned.latency:
        content["latency"] = [case.to_json() for case in planned.latency]
    if planned.against:
        content["accuracy"] = [[case.to_json() for case in cases] for cases in planned.accuracy]
        content["against"] = [case.to_json() for case in planned.against]
    return content


def _row_from_json(rows: Sequence[Row], content: dict[str, Any]) -> PlannedRow:
    cases = _cases_from_json(content["cases"])
    number, first = content["row"], cases[0]
    return PlannedRow(
        content["label"],
        Row.model_construct(module=first.module, backbone=first.backbone)
        if number is None
        else rows[number],
        cases,
        latency=_cases_from_json(content.get("latency", ())),
        accuracy=tuple(map(_cases_from_json, content.get("accuracy", ()))),
        against=_cases_from_json(content.get("against", ())),
        added=number is None,
    )


def _cases_from_json(content: Sequence[dict[str, Any]]) -> tuple[Case, ...]:
    return tuple(map(case_from_json, content))
