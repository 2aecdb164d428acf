"""Accuracy results of a table's rows, paired by seed with those of the plain backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from attnbench.errors import RecordError
from attnbench.reports.tables.case_results import CaseResult, Records
from attnbench.stats.confidence_sequence import anytime_estimate
from attnbench.stats.mcnemar import McNemar, mcnemar
from attnbench.stats.paired_difference import DifferenceEstimate, estimate
from attnbench.stats.verdict import Verdict, judge_accuracy
from attnbench.suites.case import Case, training_of
from attnbench.suites.planned import PlannedRow
from attnbench.suites.schema import Accuracy
from attnbench.utils.bitmask import unpack

Record = Mapping[str, Any]
NOT_MEASURED = "not measured"
_BELOW = 1.0
"""Shortfall from the stated top-1, in points, beyond which a plain backbone is weak."""


@dataclass(frozen=True)
class PairedTrainings:
    """The trainings of a network with several seeds, paired with the plain backbone's."""

    results: tuple[CaseResult, ...]
    against: tuple[CaseResult, ...]
    """Trainings of the plain backbone."""
    judgment: Verdict | None = None
    anytime: bool = False
    """Whether seeds are added until a verdict, so that the interval must hold at any time."""

    @cached_property
    def own(self) -> Mapping[int, Record]:
        """Return the records by seed, only those with status ``ok``."""
        return _measured(self.results)

    @cached_property
    def plain(self) -> Mapping[int, Record]:
        """Return the plain backbone's records by seed, only those with status ``ok``."""
        return _measured(self.against)

    @property
    def is_plain(self) -> bool:
        """Return whether the network is the plain backbone itself."""
        return self.results == self.against

    @property
    def status(self) -> str:
        """Return ``ok`` if any seed is; else the first one's status, such as ``failed``."""
        return "ok" if self.own else self.results[0].status

    @property
    def seeds(self) -> list[int]:
        """Return the seeds measured for both this network and the plain backbone."""
        return sorted(set(self.own) & set(self.plain))

    @property
    def facts(self) -> Mapping[str, Any]:
        """Return data set, recipe and further facts of the first seed; empty without one."""
        records = (*self.own.values(), *self.plain.values())
        return records[0].get("training") or {} if records else {}

    @property
    def recipe(self) -> Mapping[str, Any]:
        """Return the recipe of the first seed; empty without one."""
        return self.facts.get("recipe") or {}

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
        """Return the mean paired difference to plain, in points, with its 95% interval."""
        values = self.differences(key)
        of = anytime_estimate if self.anytime else estimate
        return of(values, resolution=self.resolution) if values else None

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


def read_trainings(
    rows: Sequence[PlannedRow], records: Records, accuracy: Accuracy | None = None
) -> list[tuple[PairedTrainings, ...]]:
    """Return the accuracy results of all rows of a table, with verdicts over the whole table."""
    anytime = accuracy is not None and accuracy.until is not None
    found = [
        [
            PairedTrainings(
                _results(cases, records), _results(row.against, records), anytime=anytime
            )
            for cases in row.accuracy
        ]
        for row in rows
    ]
    pairs = {id(pair): pair for row in found for pair in row if not pair.is_plain}
    estimates = {key: pair.difference() for key, pair in pairs.items()}
    known = {key: value for key, value in estimates.items() if value is not None}
    withheld = {key: doubt_of(pairs[key]) for key in known}
    verdicts = judge_accuracy(known, accuracy.rule if accuracy else None, withheld)
    return [tuple(replace(pair, judgment=verdicts.get(id(pair))) for pair in row) for row in found]


def doubt_of(one: PairedTrainings) -> str:
    """Return the reason to withhold a row's verdict; empty if there is none."""
    if one.recipe.get("smoke"):
        return "smoke test"
    if one.facts.get("synthetic"):
        return "synthetic pictures"
    return weak_baseline(one)


def weak_baseline(one: PairedTrainings) -> str:
    """Return a note if the plain backbone misses the top-1 that the recipe states; else empty."""
    plain = list(one.plain.values())
    stated = [
        float(entry["top1"])
        for entry in one.recipe.get("baseline") or []
        if plain
        and entry.get("backbone") == plain[0]["conditions"].get("backbone")
        and entry.get("dataset") == one.facts.get("dataset")
    ]
    if not stated:
        return ""
    mean = sum(float(record["values"]["top1"]) for record in plain) / len(plain)
    if mean >= stated[0] - _BELOW:
        return ""
    return f"weak baseline: plain reached {mean:.2f}, the recipe's source states {stated[0]:g}"


def _results(cases: Sequence[Case], records: Records) -> tuple[CaseResult, ...]:
    return tuple(CaseResult(case, records.get(case.name)) for case in cases)


def _measured(results: Sequence[CaseResult]) -> dict[int, Record]:
    return {
        training_of(result.case).seed: result.record
        for result in results
        if result.record is not None and result.status == "ok"
    }


def _correct(record: Record) -> Any:
    facts = record.get("training") or {}
    try:
        return unpack(facts["correct"], facts["images"][1])
    except (KeyError, RecordError):
        return None
