"""Latency results of a table's rows, judged together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from attnbench.records.latency_result import LatencyResult, judge_timings, timing_of
from attnbench.reports.tables.case_result import CaseResult
from attnbench.stats.verdict import Verdict

if TYPE_CHECKING:
    from attnbench.suites.case import Case, Conditions


@dataclass(frozen=True)
class LatencyCell(CaseResult):
    """A latency case with its record, timing and verdict."""

    timing: LatencyResult | None = None
    judgment: Verdict | None = None

    @property
    def values(self) -> Mapping[str, Any]:
        """Return peak memory, export time, agreement and others; empty unless the case is ok."""
        return ((self.record or {}).get("values") or {}) if self.timing else {}

    @property
    def runtime(self) -> Mapping[str, Any]:
        """Return title, versions, processor and fallbacks; empty unless the case is ok."""
        return ((self.record or {}).get("runtime") or {}) if self.timing else {}

    @property
    def conditions(self) -> Conditions:
        """Return the conditions of the measurement."""
        if self.case.conditions is None:
            raise ValueError(f"{self.case.name} is not a latency case")
        return self.case.conditions

    @property
    def ratio(self) -> float | None:
        """Return the ratio to the plain network's latency; exactly 1 for the plain network."""
        if self.timing is None:
            return None
        return 1.0 if self.timing.is_plain else self.timing.arm.ratio


def timed(
    rows: Sequence[Iterable[Case]], records: Mapping[str, Mapping[str, Any]]
) -> list[tuple[LatencyCell, ...]]:
    """Return the latency results of all rows of a table, with verdicts over the whole table."""
    found = [tuple(_timed(case, records.get(case.name)) for case in row) for row in rows]
    timings = {
        (number, place): cell.timing
        for number, row in enumerate(found)
        for place, cell in enumerate(row)
        if cell.timing is not None
    }
    verdicts = judge_timings(timings)
    return [
        tuple(
            replace(cell, judgment=verdicts.get((number, place))) for place, cell in enumerate(row)
        )
        for number, row in enumerate(found)
    ]


def _timed(case: Case, record: Mapping[str, Any] | None) -> LatencyCell:
    if record is None or record["status"] != "ok":
        return LatencyCell(case, record)
    batch = case.conditions.batch if case.conditions else 1
    return LatencyCell(case, record, timing_of(record.get("samples") or [], batch))
