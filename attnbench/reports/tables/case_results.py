"""Results of a table's cases: a case with its record, and for a latency its timing and verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from attnbench.records.latency_result import (
    LatencyResult,
    judge_timings,
    pool_sessions,
    timing_of,
)
from attnbench.stats.verdict import Verdict
from attnbench.suites.case import Case, Conditions, conditions_of

NOT_RUN = "not run"
Records = Mapping[str, Mapping[str, Any]]
"""Records by case name."""


@dataclass(frozen=True)
class CaseResult:
    """A case and its record, which is None if the case was not run."""

    case: Case
    record: Mapping[str, Any] | None

    @property
    def status(self) -> str:
        """Return ``ok``, ``failed``, ``skipped`` or ``not run``."""
        return str(self.record["status"]) if self.record else NOT_RUN

    @property
    def reason(self) -> str:
        """Return the reason for missing values."""
        return str((self.record or {}).get("reason") or "")

    @property
    def values(self) -> Mapping[str, Any]:
        """Return the values; empty unless the case is ok."""
        return self.part("values") if self.status == "ok" else {}

    def part(self, key: str) -> Mapping[str, Any]:
        """Return an object of the record by its key; empty where the record has none."""
        return (self.record or {}).get(key) or {}

    @property
    def slots(self) -> list[Mapping[str, Any]]:
        """Return the slots in which the module was inserted."""
        return list((self.record or {}).get("slots") or [])

    @property
    def notes(self) -> dict[str, list[str]]:
        """Return the field with the settings that the module or a plugin changed, if any did."""
        texts = list((self.record or {}).get("notes") or [])
        return {"notes": texts} if texts else {}

    def failure(self, name: str) -> str:
        """Return ``name: status: reason`` as a footnote; empty where nothing failed."""
        if self.status in ("ok", NOT_RUN):  # the cells show that a case was not run
            return ""
        return ": ".join(part for part in (name, self.status, self.reason) if part)


def placement_text(placement: str | None, sites: int) -> str:
    """Return a placement with the number of sites that it filled, as far as that is known."""
    known = f" ({sites} {'site' if sites == 1 else 'sites'})" if sites else ""
    return f"{placement}{known}" if placement else ""


@dataclass(frozen=True)
class CostResult(CaseResult):
    """A cost case and its record."""

    group: int = 0
    """Index of its column group, from 0."""

    @property
    def uncounted(self) -> list[Mapping[str, Any]]:
        """Return the operators whose MACs are unknown."""
        return list((self.record or {}).get("uncounted") or [])

    @property
    def counters(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the reports of the external counters."""
        return {name: report for name, report in self.part("counters").items() if name != "rules"}


@dataclass(frozen=True)
class LatencyCell(CaseResult):
    """A latency case with its record, timing and verdict."""

    timing: LatencyResult | None = None
    judgment: Verdict | None = None

    @property
    def runtime(self) -> Mapping[str, Any]:
        """Return title, versions, processor and fallbacks; empty unless the case is ok."""
        return self.part("runtime") if self.timing else {}

    @property
    def conditions(self) -> Conditions:
        """Return the conditions of the measurement."""
        return conditions_of(self.case)

    @property
    def ratio(self) -> float | None:
        """Return the ratio to the plain network's latency; exactly 1 for the plain network."""
        if self.timing is None:
            return None
        return 1.0 if self.timing.is_plain else self.timing.arm.ratio


def read_timings(records: Records) -> dict[str, LatencyResult]:
    """Return the timings of a run by case name, each with the interval that its session gives."""
    timings = {name: _timing(record) for name, record in records.items()}
    return pool_sessions({name: timing for name, timing in timings.items() if timing})


def _timing(record: Mapping[str, Any]) -> LatencyResult | None:
    if record["status"] != "ok":
        return None
    conditions = (record.get("conditions") or {}).get("conditions") or {}
    return timing_of(record.get("samples") or [], conditions.get("batch", 1))


def read_latencies(
    rows: Sequence[Iterable[Case]], records: Records, timings: Mapping[str, LatencyResult]
) -> list[tuple[LatencyCell, ...]]:
    """Return the latency results of all rows of a table, with verdicts over the whole table."""
    found = [
        [LatencyCell(case, records.get(case.name), timings.get(case.name)) for case in row]
        for row in rows
    ]
    verdicts = judge_timings(
        {id(cell): cell.timing for row in found for cell in row if cell.timing}
    )
    return [tuple(replace(cell, judgment=verdicts.get(id(cell))) for cell in row) for row in found]
