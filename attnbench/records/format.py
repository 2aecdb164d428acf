"""Format of the lines of a record file.

Format history
  1  a header ``{"format": 1, "suite": ..., "tables": ..., "versions": ..., "machine": ...}``,
     then records ``{"case": ..., "kind": ..., "status": ..., "values": ..., "hash": ...}``.
  2  records of kind ``latency``, with ``samples`` (one object for each process) and ``runtime``;
     values may be fractions.
  3  records of kind ``accuracy``, one for each seed, with ``training``. Later, with no new number
     since older readers pass over it: ``date`` and ``probe_s`` of a header; ``uncounted`` and
     ``notes`` of a record; ``accepted`` of a record and ``removed`` of a header, which
     ``attnbench accept`` writes into a baseline.
  4  from the end of a run on a first line ``{"format": 4, "archive": "records-HASH.npz"}``, and
     ``{"archived": N}`` in place of long fields (:mod:`attnbench.records.archive`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
)

from attnbench.records.archive import ArchivedSamples
from attnbench.records.field_forms import (
    Accepted,
    Card,
    CaseConditions,
    Count,
    Counters,
    Number,
    Runtime,
    Slots,
    Training,
    Uncounted,
    check_samples,
)
from attnbench.suites.case import Conditions
from attnbench.suites.planned import check_tables
from attnbench.utils.text import shorten

FORMAT = 4
Kind = Literal["cost", "latency", "accuracy", "export"]

Value = Count | Number | None
"""Value of a metric: an integer for counts; null if it does not exist."""


def _checked(samples: Any) -> Sequence[dict[str, Any]]:
    """Check samples that are read from text; those of an archive were checked before."""
    return samples if isinstance(samples, ArchivedSamples) else check_samples(samples)


def _of_its_kind(values: dict[str, Value], record: ValidationInfo) -> dict[str, Value]:
    if record.data.get("kind") == "cost" and any(
        isinstance(value, float) for value in values.values()
    ):
        raise ValueError("counts are integers")
    return values


Samples = Annotated[
    Sequence[dict[str, Any]],
    PlainValidator(_checked),
    PlainSerializer(list, return_type=list[dict[str, Any]]),
]


_SHARES = ("top1", "top5", "int8_top1")
"""Metrics in percent."""
_LINE = ConfigDict(extra="ignore", frozen=True)  # a newer attnbench may write unknown keys


class Header(BaseModel):
    """The header, with the properties common to the records below it."""

    model_config = _LINE
    format: Annotated[int, Field(ge=1, strict=True)]
    suite: dict[str, Any]
    """Full content of the suite."""
    suite_hash: str
    tables: Annotated[list[list[dict[str, Any]]], AfterValidator(check_tables)]
    """Rows of each table: label, number of the layout's row, cases."""
    versions: dict[str, str]
    machine: dict[str, str | int]
    commit: str | None = None
    """Git commit of attnbench, if it runs from a checkout."""
    date: str | None = None
    """Time of writing, ISO 8601 in UTC to the second; None in older files."""
    probe_s: float | None = None
    """Duration of a pass of :mod:`attnbench.system.speed_probe` when a run with latencies or
    trainings starts; durations of records are scaled by it, values never."""
    removed: dict[str, dict[str, Any]] = {}
    """Cases removed from a baseline, each with ``reason``, ``date``, ``from``."""

    @property
    def suite_name(self) -> str:
        """Name of the suite; ``?`` where the header lacks it."""
        head = self.suite.get("suite")
        return str(head.get("name", "?")) if isinstance(head, dict) else "?"


class Record(BaseModel):
    """The result of one case."""

    model_config = _LINE
    case: str
    kind: Kind
    """Kind; records of exports are kept in memory only."""
    status: Literal["ok", "failed", "skipped"]
    reason: Annotated[str, AfterValidator(shorten)] | None = None
    """Reason of a failure or skip."""
    hash: str
    """Hash of everything that the values depend on; another hash requires a new measurement."""
    conditions: CaseConditions
    values: Annotated[dict[str, Value], AfterValidator(_of_its_kind)] = {}
    samples: Samples = []
    """Samples of a latency case: for each process the seconds of every round, for the case's
    network, the plain one and its copy."""
    runtime: Runtime | None = None
    """Runtime of a latency case: title, versions, processor, operations outside the fast path."""
    training: Training | None = None
    """Training of an accuracy case: data set, recipe, curve, correctly classified images."""
    uncounted: Uncounted = []
    """Operators of a cost case whose MACs are unknown: ``operator``, ``calls``, ``sizes``."""
    notes: list[str] = []
    """Settings of the process that its module or a plugin has changed, and that were restored."""
    slots: Slots = []
    card: Card | None = None
    counters: Counters | None = None
    seconds: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    accepted: Accepted | None = None
    """Accepted change of a baseline: ``reason``, ``date``, and ``from``, the previous record."""

    @property
    def problem(self) -> str:
        """Return why a record in a file cannot be used, ``values: none``; empty if it can."""
        if self.kind == "export" or not self.case.startswith(f"{self.kind}/"):
            return f"case: not of kind {self.kind}"
        if self.status != "ok":
            return ""
        if not self.values:
            return "values: none, although the case is ok"
        if self.kind != "accuracy":
            return ""
        if self.values.get("top1") is None:
            return "values.top1: none, although the case is ok"
        wrong = [key for key in _SHARES if not 0 <= (self.values.get(key) or 0) <= 100]
        return f"values.{wrong[0]}: no percentage" if wrong else ""

    @property
    def seed(self) -> int | None:
        """Seed of an accuracy case; None for any other."""
        return (self.conditions.get("training") or {}).get("seed")

    @property
    def case_key(self) -> str:
        """Canonical name without the seed, which it ends with: one for all seeds of a training."""
        return self.case if self.seed is None else self.case.removesuffix(f",seed={self.seed}")

    @property
    def timing_conditions(self) -> dict[str, Any]:
        """Conditions of a latency case; those that older records lack have their defaults."""
        return {**asdict(Conditions("")), **(self.conditions.get("conditions") or {})}


def upgrade_header(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return a header of any older format in the current one; damaged fields are unchanged."""
    match header:
        case {"format": 1, "suite": {"suite": {**head}} as suite}:
            head.pop("kinds", None)
            return {**header, "suite": {**suite, "suite": head}}
    return dict(header)
