"""Accuracy cases of a table's rows: their trainings paired with the plain backbone's, by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from attnbench.errors import RecordError
from attnbench.reports.tables.case_result import NOT_RUN
from attnbench.stats.accuracy_verdict import AccuracyVerdict, judge
from attnbench.stats.mcnemar import McNemar, mcnemar
from attnbench.stats.paired_difference import DifferenceEstimate, estimate, sign_flip
from attnbench.utils.bitmask import unpack

if TYPE_CHECKING:
    from attnbench.suites.case import Case, PlannedRow

Record = Mapping[str, Any]
Records = Mapping[str, Record]
NOT_MEASURED = "not measured"
_BELOW = 1.0
"""Points below what the recipe's source states for the plain backbone that make it weak."""


@dataclass(frozen=True)
class PairedTrainings:
    """One network trained with several seeds, beside the plain backbone."""

    cases: tuple[Case, ...]
    own: Mapping[int, Record]
    """Records by seed; only those that are ``ok``."""
    plain: Mapping[int, Record]
    others: tuple[tuple[Case, Record | None], ...]
    """Trainings that gave nothing, and their records."""
    is_plain: bool
    judgement: AccuracyVerdict | None = None

    @property
    def status(self) -> str:
        """``ok`` if a seed is, else how the first ended: ``failed``, ``skipped``, ``not run``."""
        if self.own:
            return "ok"
        record = self.others[0][1] if self.others else None
        return str(record["status"]) if record else NOT_RUN

    def record(self, case: Case) -> Record | None:
        """Return the record of one of its cases; None where it is not run."""
        own = self.own.get(case.training.seed) if case.training else None
        return own or next((record for other, record in self.others if other == case), None)

    @property
    def seeds(self) -> list[int]:
        """The seeds that are measured here and for the plain backbone."""
        return sorted(set(self.own) & set(self.plain))

    @property
    def facts(self) -> Mapping[str, Any]:
        """Data set, recipe and so on, of the first seed; empty where there is none."""
        first = next(iter(self.own.values()), None) or next(iter(self.plain.values()), None)
        return (first or {}).get("training") or {}

    def values(self, key: str) -> list[float]:
        """Return a value of each measured seed that has it, in order of the seeds."""
        found = (self.own[seed]["values"].get(key) for seed in sorted(self.own))
        return [float(value) for value in found if value is not None]

    def mean(self, key: str = "top1") -> DifferenceEstimate | None:
        """Return the mean over seeds with its 95% interval, in percent."""
        values = self.values(key)
        return estimate(values, 50.0, resolution=self.resolution) if values else None

    def differences(self, key: str = "top1") -> list[float]:
        """Return own less plain, in points, for each seed that both have."""
        pairs = ((self.own[one]["values"], self.plain[one]["values"]) for one in self.seeds)
        return [
            float(own[key]) - float(plain[key])
            for own, plain in pairs
            if own.get(key) is not None and plain.get(key) is not None
        ]

    def difference(self, key: str = "top1") -> DifferenceEstimate | None:
        """Return the mean paired difference to plain, in points, with its 95% t interval."""
        values = self.differences(key)
        return estimate(values, resolution=self.resolution) if values else None

    @property
    def flipped(self) -> DifferenceEstimate | None:
        """The same with the interval of the sign-flip test."""
        values = self.differences()
        return sign_flip(values, resolution=self.resolution) if values else None

    @property
    def resolution(self) -> float:
        """Points that one test image counts."""
        images = self.facts.get("images")
        return 100.0 / images[1] if images else 0.0

    @cached_property
    def mcnemar(self) -> McNemar | None:
        """Own against plain on the same test images; None where a record lacks them."""
        import numpy as np

        pairs = [(_correct(self.own[one]), _correct(self.plain[one])) for one in self.seeds]
        known = [(own, plain) for own, plain in pairs if own is not None and plain is not None]
        if self.is_plain or not known or len({len(one) for pair in known for one in pair}) > 1:
            return None
        own, plain = (np.stack(side) for side in zip(*known, strict=True))
        return mcnemar(own, plain)


def trained(rows: Sequence[PlannedRow], records: Records) -> list[tuple[PairedTrainings, ...]]:
    """Return the accuracy results of all rows of a table, with verdicts over the whole table."""
    found = [tuple(_trained(cases, row.against, records) for cases in row.accuracy) for row in rows]
    keyed = {
        (number, place): one
        for number, row in enumerate(found)
        for place, one in enumerate(row)
        if not one.is_plain
    }
    estimates = {key: one.difference() for key, one in keyed.items()}
    known = {key: one for key, one in estimates.items() if one is not None}
    verdicts = judge(known, withheld={key: withheld(keyed[key]) for key in known})
    return [
        tuple(
            replace(one, judgement=verdicts.get((number, place))) for place, one in enumerate(row)
        )
        for number, row in enumerate(found)
    ]


def withheld(one: PairedTrainings) -> str:
    """Return why a row is to have no verdict; empty where it may have one."""
    recipe = one.facts.get("recipe") or {}
    if recipe.get("smoke"):
        return "smoke test"
    if one.facts.get("synthetic"):
        return "synthetic pictures"
    return weak_baseline(one)


def weak_baseline(one: PairedTrainings) -> str:
    """Return how far the plain backbone is below what the recipe's source states, or nothing."""
    stated = [
        float(entry["top1"])
        for entry in (one.facts.get("recipe") or {}).get("baseline") or []
        if one.plain
        and entry.get("backbone") == next(iter(one.plain.values()))["conditions"].get("backbone")
        and entry.get("dataset") == one.facts.get("dataset")
    ]
    reached = [float(record["values"]["top1"]) for record in one.plain.values()]
    if not stated or not reached:
        return ""
    mean = sum(reached) / len(reached)
    if mean >= stated[0] - _BELOW:
        return ""
    return f"weak baseline: plain reached {mean:.2f}, the recipe's source states {stated[0]:g}"


def _trained(
    cases: tuple[Case, ...], against: tuple[Case, ...], records: Records
) -> PairedTrainings:
    return PairedTrainings(
        cases,
        _good(cases, records),
        _good(against, records),
        tuple(
            (case, records.get(case.name)) for case in cases if not _is_ok(records.get(case.name))
        ),
        is_plain=cases == against,
    )


def _good(cases: Sequence[Case], records: Records) -> dict[int, Record]:
    return {
        case.training.seed: records[case.name]
        for case in cases
        if case.training is not None and _is_ok(records.get(case.name))
    }


def _is_ok(record: Record | None) -> bool:
    return record is not None and record["status"] == "ok"


def _correct(record: Record) -> Any:
    facts = record.get("training") or {}
    try:
        return unpack(facts["correct"], facts["images"][1])
    except (KeyError, RecordError):
        return None
