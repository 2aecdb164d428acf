"""The lines of a record file.

Format history
  1  a header ``{"format": 1, "suite": ..., "tables": ..., "versions": ..., "machine": ...}``,
     then records ``{"case": ..., "kind": ..., "status": ..., "values": ..., "hash": ...}``.
  2  records of kind ``latency``, with ``samples`` (one object for each process) and ``runtime``;
     values may be fractions.
  3  records of kind ``accuracy``, one for each seed, with ``training``. Later, with no new number
     since older readers pass over it: ``date`` of a header; ``accepted`` of a record and
     ``removed`` of a header, which ``attnbench accept`` writes into a baseline.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

FORMAT = 3

Value = int | float | None
"""Counts are integers; null where there is no such figure."""


class _Line(BaseModel):
    # a newer attnbench may write keys that this one does not know; they must not be fatal
    model_config = ConfigDict(extra="ignore", frozen=True)


class Header(_Line):
    """What the records below it share."""

    format: Annotated[int, Field(ge=1)]
    suite: dict[str, Any]
    """The suite's whole content."""
    suite_hash: str
    tables: list[list[dict[str, Any]]]
    """For each table its rows: label, number of the layout's row, cases."""
    versions: dict[str, str]
    machine: dict[str, str | int]
    commit: str | None = None
    """Git commit of attnbench, where it runs from a checkout."""
    date: str | None = None
    """When it was written, ISO 8601 in UTC to the second; None of older files."""
    removed: dict[str, dict[str, Any]] = {}
    """Of a baseline: cases that were taken out of it, each with ``reason``, ``date``, ``from``."""


class Record(_Line):
    """What one case gave."""

    case: str
    kind: Literal["cost", "latency", "accuracy"]
    status: Literal["ok", "failed", "skipped"]
    reason: str | None = None
    """Why it failed or was skipped."""
    hash: str
    """Of everything that the values depend on; another hash means another measurement."""
    conditions: dict[str, Any]
    values: dict[str, Value] = {}
    samples: list[dict[str, Any]] = []
    """Of a latency case: for each process the seconds of every round, of the case's network, of the
    plain one and of its copy."""
    runtime: dict[str, Any] | None = None
    """Of a latency case: title, versions, processor, what fell out of the fast path."""
    training: dict[str, Any] | None = None
    """Of an accuracy case: data set, recipe, curve, and which test images were classified right."""
    slots: list[dict[str, Any]] = []
    card: dict[str, Any] | None = None
    counters: dict[str, Any] | None = None
    seconds: float = 0.0
    accepted: dict[str, Any] | None = None
    """Of a baseline: ``reason`` and ``date`` of the change, and ``from``, what was there before."""

    @model_validator(mode="after")
    def _consistent(self) -> Record:
        if self.kind == "cost" and any(isinstance(one, float) for one in self.values.values()):
            raise ValueError("counts are integers")
        if not all(map(_is_sampled, self.samples)):
            raise ValueError("samples are not rounds of a baseline, its copy and an arm")
        return self


def _is_sampled(process: Mapping[str, Any]) -> bool:
    """Whether a process's samples have a baseline, and as many positive figures for each arm."""
    try:
        rows = [process["seconds"][process["baseline"]], *process["seconds"].values()]
        return len({len(row) for row in rows}) == 1 and all(one > 0 for row in rows for one in row)
    except (KeyError, TypeError, AttributeError):
        return False
