"""Cases, the rows and tables of cases of a planned suite, and their JSON form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from attnbench.registry.attention import Attention, find_attention
from attnbench.suites.conditions import Conditions, Training
from attnbench.suites.schema import Row, Suite, TableLayout

if TYPE_CHECKING:
    from attnbench.registry.plugins import Catalog

DEFAULT_SIZE = (224, 224)


@dataclass(frozen=True)
class Case:
    """A unit of measurement; specs and placement are canonical text."""

    kind: str
    backbone: str | None
    module: str | None
    placement: str | None
    channels: int | None
    size: tuple[int, int]
    """Size of the input image; for a module alone, size of the feature map."""
    counters: bool = False
    fused: bool = False
    """Use of the module's inference form instead of its training form."""
    conditions: Conditions | None = None
    """Conditions of a latency case."""
    training: Training | None = None
    """Training of an accuracy case, with one seed."""
    attention: Attention | None = field(default=None, compare=False, repr=False)
    """The module, looked up when the case is planned or reaches a worker; None in a plain case,
    without the module's package, and in a case that is only read."""

    @property
    def network(self) -> str:
        """Return the network, ``mobilenet_v2/ulsam,groups=8/replace:14,17``."""
        parts = [self.backbone or "alone", self.module or "plain"]
        height, width = self.size
        if self.channels is not None:
            parts.append(f"{self.channels}x{height}x{width}")
        else:
            parts += [self.placement] if self.placement else []
            parts += [f"{height}x{width}"] if self.size != DEFAULT_SIZE else []
        parts += ["fused"] if self.fused else []
        return "/".join(parts)

    @property
    def name(self) -> str:
        """Return the canonical name: kind, network, and conditions or training."""
        return self._named(str(self.training) if self.training else "")

    @property
    def key(self) -> str:
        """Return the canonical name without the seed, which the trainings of a network share."""
        return self._named(self.training.key if self.training else "")

    @property
    def plain(self) -> Case:
        """Return the case of the same backbone without the module."""
        return replace(self, module=None, placement=None, fused=False, attention=None)

    def fuse(self) -> Case:
        """Return the case with the module's inference form."""
        return replace(self, fused=True)

    def for_latency(self, conditions: Conditions) -> Case:
        """Return the latency case of the same network."""
        return replace(self, kind="latency", counters=False, conditions=conditions)

    def for_training(self, training: Training, side: int) -> Case:
        """Return the accuracy case of the same network, on images of ``side`` pixels."""
        return replace(
            self,
            kind="accuracy",
            size=(side, side),
            counters=False,
            fused=False,  # the inference form of the same weights
            training=training,
        )

    def _named(self, training: str) -> str:
        parts = [self.kind, self.network]
        parts += [str(self.conditions)] if self.conditions else []
        parts += [training] if training else []
        return "/".join(parts)

    def resolve(self, catalog: Catalog) -> Case:
        """Return the case with its module looked up.

        Raises:
            AttnbenchError: there is no such module, or it does not take its options.
        """
        if self.module is None or self.attention is not None:
            return self
        return replace(self, attention=find_attention(self.module, catalog))

    def to_json(self) -> dict[str, Any]:
        """Return the fields that identify the case."""
        content = {item.name: getattr(self, item.name) for item in fields(self) if item.compare}
        parts = {key: asdict(part) for key, part in content.items() if key in _PARTS and part}
        return {**content, **parts, "size": list(self.size)}


_PARTS: dict[str, Any] = {"conditions": Conditions, "training": Training}


def case_from_json(content: dict[str, Any]) -> Case:
    """Return the case with the given fields, its module not looked up."""
    height, width = content["size"]
    parts = {key: make(**content[key]) for key, make in _PARTS.items() if content.get(key)}
    return Case(**{**content, **parts, "size": (height, width)})


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
