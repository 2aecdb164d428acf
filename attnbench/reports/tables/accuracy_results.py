"""Accuracy results of a table's rows, paired by seed with those of the plain backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from attnbench.errors import RecordError
from attnbench.reports.tables.case_result import NOT_RUN
from attnbench.stats.mcnemar import McNemar, mcnemar
from attnbench.stats.paired_difference import DifferenceEstimate, estimate
from attnbench.stats.verdict import Verdict, judge_accuracy
from attnbench.utils.bitmask import unpack

if TYPE_CHECKING:
    from attnbench.suites.case import Case
    from attnbench.suites.planned import PlannedRow

Record = Mapping[str, Any]
Records = Mapping[str, Record]
NOT_MEASURED = "not measured"
_BELOW = 1.0
"""Shortfall from the stated top-1, in points, beyond which a plain backbone is weak."""


@dataclass(frozen=True)
class PairedTrainings:
    """The trainings of a network with several seeds, paired with the plain backbone's."""

    cases: tuple[Case, ...]
    own: Mapping[int, Record]
    """Records by seed, only those with status ``ok``."""
    plain: Mapping[int, Record]
    others: tuple[tuple[Case, Record | None], ...]
    """Trainings without a result, with their records."""
    is_plain: bool
    judgment: Verdict | None = None

    @property
    def status(self) -> str:
        """Return ``ok`` if any seed is; else the first one's status, such as ``failed``."""
        if self.own:
            return "ok"
        record = self.others[0][1] if self.others else None
        return str(record["status"]) if record else NOT_RUN

    def record(self, case: Case) -> Record | None:
        """Return the record of one of its cases; None if it was not run."""
        own = self.own.get(case.training.seed) if case.training else None
        return own or next((record for other, record in self.others if other == case), None)

    @property
    def seeds(self) -> list[int]:
        """Return the seeds measured for both this network and the plain backbone."""
        return sorted(set(self.own) & set(self.plain))

    @property
    def facts(self) -> Mapping[str, Any]:
        """Return data set, recipe and further facts of the first seed; empty without one."""
        first = next(iter(self.own.values()), None) or next(iter(self.plain.values()), None)
        return (first or {}).get("training") or {}

    def values(self, key: str) -> list[float]:
        """Return a metric's value for each measured seed that has it, in order of the seeds."""
        found = (self.own[seed]["values"].get(key) for seed in sorted(self.own))
        return [float(value) for value in found if value is not None]

    def mean(self, key: str = "top1") -> DifferenceEstimate | None:
        """Return the mean over seeds with its 95% confidence interval, in percent."""
        values = self.values(key)
        return estimate(values, 50.0, resolution=self.resolution) if values else None

    def differences(self, key: str = "top1") -> list[float]:
        """Return own minus plain, in points, for each seed that both have."""
        pairs = ((self.own[seed]["values"], self.plain[seed]["values"]) for seed in self.seeds)
        return [
            float(own[key]) - float(plain[key])
            for own, plain in pairs
            if own.get(key) is not None and plain.get(key) is not None
        ]

    def difference(self, key: str = "top1") -> DifferenceEstimate | None:
        """Return the mean paired difference to plain, in points, with its 95% t-interval."""
        values = self.differences(key)
        return estimate(values, resolution=self.resolution) if values else None

    @property
    def resolution(self) -> float:
        """Return the percentage points contributed by one test image."""
        images = self.facts.get("images")
        return 100.0 / images[1] if images else 0.0

    @cached_property
    def mcnemar(self) -> McNemar | None:
        """Return McNemar's test of own against plain; None without comparable test images."""
        import numpy as np

        pairs = [(_correct(self.own[seed]), _correct(self.plain[seed])) for seed in self.seeds]
        complete = [(own, plain) for own, plain in pairs if own is not None and plain is not None]
        sizes = {len(correct) for pair in complete for correct in pair}
        if self.is_plain or len(sizes) != 1:
            return None
        own, plain = (np.stack(side) for side in zip(*complete, strict=True))
        return mcnemar(own, plain)


def trained(rows: Sequence[PlannedRow], records: Records) -> list[tuple[PairedTrainings, ...]]:
    """Return the accuracy results of all rows of a table, with verdicts over the whole table."""
    found = [tuple(_trained(cases, row.against, records) for cases in row.accuracy) for row in rows]
    keyed = {
        (number, place): pair
        for number, row in enumerate(found)
        for place, pair in enumerate(row)
        if not pair.is_plain
    }
    estimates = {key: pair.difference() for key, pair in keyed.items()}
    known = {key: value for key, value in estimates.items() if value is not None}
    verdicts = judge_accuracy(known, withheld={key: withheld(keyed[key]) for key in known})
    return [
        tuple(
            replace(pair, judgment=verdicts.get((number, place))) for place, pair in enumerate(row)
        )
        for number, row in enumerate(found)
    ]


def withheld(one: PairedTrainings) -> str:
    """Return the reason to withhold a row's verdict; empty if there is none."""
    recipe = one.facts.get("recipe") or {}
    if recipe.get("smoke"):
        return "smoke test"
    if one.facts.get("synthetic"):
        return "synthetic pictures"
    return weak_baseline(one)


def weak_baseline(one: PairedTrainings) -> str:
    """Return a note if the plain backbone misses the top-1 that the recipe states; else empty."""
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
