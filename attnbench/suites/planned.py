"""Rows and tables of cases of a planned suite, and their JSON form in a run's header."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from attnbench.suites.case import Case, Conditions, Training, case_from_json
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

    @property
    def every_case(self) -> tuple[Case, ...]:
        """Cases of all kinds, without the trainings of the plain backbone beside them."""
        return (*self.cases, *self.latency, *chain.from_iterable(self.accuracy))


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


class _CaseJson(BaseModel):
    """A case in a header: the fields of :class:`Case`."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["cost", "latency", "accuracy", "export"]
    backbone: str | None
    module: str | None
    placement: str | None
    channels: int | None
    size: Annotated[list[int], Field(min_length=2, max_length=2)]
    counters: bool = False
    fused: bool = False
    conditions: Conditions | None = None
    training: Training | None = None
    section: str | None = None


class _RowJson(BaseModel):
    """A row in a header."""

    label: str
    row: Annotated[int, Field(ge=0)] | None
    cases: Annotated[list[_CaseJson], Field(min_length=1)]
    latency: list[_CaseJson] = Field(default_factory=list)
    accuracy: list[list[_CaseJson]] = Field(default_factory=list)
    against: list[_CaseJson] = Field(default_factory=list)


_TABLES = TypeAdapter(list[list[_RowJson]])


def check_tables(content: Any) -> list[list[dict[str, Any]]]:
    """Return the tables of a header as they are.

    Raises:
        ValueError: a row lacks something, or has something else there.
    """
    try:
        _TABLES.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from None
    return content  # type: ignore[no-any-return]  # of this type, as was just checked


def tables_from_json(suite: Suite, content: Sequence[Any]) -> list[PlannedTable]:
    """Return the tables of a header, which suffice to show a run without its plugins.

    Raises:
        ValueError: they are not those of the suite.
    """
    fit = len(content) == len(suite.table) and all(
        rows and all(_fits(layout, row) for row in rows)
        for layout, rows in zip(suite.table, content, strict=True)
    )
    if not fit:
        raise ValueError("its tables are not those of its suite")
    return [
        PlannedTable(layout, tuple(_row_from_json(layout.row, row) for row in rows))
        for layout, rows in zip(suite.table, content, strict=True)
    ]


def _fits(layout: TableLayout, row: dict[str, Any]) -> bool:
    groups = len(layout.groups.values) if layout.groups else 1
    return (row["row"] or 0) < max(1, len(layout.row)) and len(row["cases"]) in (1, groups)


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
