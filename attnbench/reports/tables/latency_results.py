"""Latency cases of a table's rows: their timings, judged together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from attnbench.records.latency_result import LatencyResult, judged, timing_of
from attnbench.reports.tables.case_result import CaseResult
from attnbench.stats.latency_verdict import LatencyVerdict

if TYPE_CHECKING:
    from attnbench.suites.case import Case
    from attnbench.suites.conditions import Conditions


@dataclass(frozen=True)
class LatencyCell(CaseResult):
    """A latency case, its record and what that says."""

    timing: LatencyResult | None = None
    judgement: LatencyVerdict | None = None

    @property
    def values(self) -> Mapping[str, Any]:
        """Peak memory, export time, agreement and so on; empty unless the case is ok."""
        return ((self.record or {}).get("values") or {}) if self.timing else {}

    @property
    def runtime(self) -> Mapping[str, Any]:
        """Title, versions, processor, fallbacks; empty unless the case is ok."""
        return ((self.record or {}).get("runtime") or {}) if self.timing else {}

    @property
    def conditions(self) -> Conditions:
        """Under which it was measured."""
        if self.case.conditions is None:
            raise ValueError(f"{self.case.name} is not a latency case")
        return self.case.conditions

    @property
    def ratio(self) -> float | None:
        """Over the plain network; exactly 1 for that itself."""
        if self.timing is None:
            return None
        return 1.0 if self.timing.is_plain else self.timing.arm.ratio


def timed(
    rows: Sequence[Iterable[Case]], records: Mapping[str, Mapping[str, Any]]
) -> list[tuple[LatencyCell, ...]]:
    """Return the latency results of all rows of a table, with verdicts over the whole table."""
    found = [tuple(_timed(case, records.get(case.name)) for case in row) for row in rows]
    timings = {
        (number, place): one.timing
        for number, row in enumerate(found)
        for place, one in enumerate(row)
        if one.timing is not None
    }
    verdicts = judged(timings)
    return [
        tuple(
            replace(one, judgement=verdicts.get((number, place))) for place, one in enumerate(row)
        )
        for number, row in enumerate(found)
    ]


def _timed(case: Case, record: Mapping[str, Any] | None) -> LatencyCell:
    if record is None or record["status"] != "ok":
        return LatencyCell(case, record)
    batch = case.conditions.batch if case.conditions else 1
    return LatencyCell(case, record, timing_of(record.get("samples") or [], batch))
