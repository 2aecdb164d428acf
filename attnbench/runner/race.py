"""Races: seeds are added to the trainings of a table until each arm's verdict is there."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attnbench.records.format import Record
from attnbench.runner.job import Job
from attnbench.stats.confidence_sequence import anytime_estimate
from attnbench.stats.paired_difference import DifferenceEstimate
from attnbench.stats.verdict import AccuracyRule, judge_accuracy
from attnbench.suites.case import Case

Arm = tuple[tuple[Case, ...], tuple[Case, ...]]
"""Trainings of a network and of its plain backbone, one for each seed."""


class Race:
    """The trainings of a job in rounds; those of tables that are not raced are all in the first.

    The first round has the fewest seeds that a verdict needs, each further one the next seed of
    the arms without a verdict, and of their plain backbones. A failed training costs its seed; an
    arm of which every training of the first round has failed is trained no more.

    Args:
        job: the job, whose valid records count.
    """

    def __init__(self, job: Job) -> None:
        self._tables = [
            ([(cases, row.against) for row in table.rows for cases in row.accuracy], accuracy.rule)
            for table in job.tables
            if (accuracy := job.suite.accuracy_of(table.layout)) and accuracy.until
        ]
        arms = [side for arms, _ in self._tables for arm in arms for side in arm]
        self._raced = {case.name for side in arms for case in side}
        self._records: dict[str, Record] = dict(job.done)
        # trainings of another shard are not awaited
        self._settled = self._raced - {case.name for case in job.pending}
        self._deadline = time.monotonic() + job.race_s if job.race_s is not None else None

    def rounds(self, pending: Sequence[Case]) -> Iterator[list[Case]]:
        """Yield the trainings of each round, until all is decided or the time is over."""
        while self._deadline is None or time.monotonic() < self._deadline:
            wanted = set(self._wanted())
            chosen = [
                case
                for case in pending
                if case.name not in self._settled
                and (case.name in wanted or case.name not in self._raced)
            ]
            if not chosen:
                return
            yield chosen
            self._settled |= {case.name for case in chosen}

    def add(self, record: Record) -> None:
        """Take the record of a training into account."""
        self._records[record.case] = record

    def _wanted(self) -> Iterator[str]:
        for arms, rule in self._tables:
            decided = self._decided(arms, rule)
            for number, (own, plain) in enumerate(arms):
                seeds = self._next_seeds((own, plain), rule, done=number in decided)
                yield from (side[seed].name for seed in seeds for side in (own, plain))

    def _next_seeds(self, arm: Arm, rule: AccuracyRule, *, done: bool) -> Iterable[int]:
        own, plain = arm
        first = range(min(rule.fewest_seeds, len(own)))
        open_ = [seed for seed in range(len(own)) if not self._is_settled(arm, seed)]
        if any(seed in first for seed in open_):
            return first
        is_broken = all(self._values(own[seed]) is None for seed in first)
        return [] if done or is_broken or own == plain else open_[:1]

    def _is_settled(self, arm: Arm, seed: int) -> bool:
        return all(side[seed].name in self._settled for side in arm)

    def _decided(self, arms: Sequence[Arm], rule: AccuracyRule) -> set[int]:
        estimates = {
            number: estimate
            for number, arm in enumerate(arms)
            if arm[0] != arm[1] and (estimate := self._estimate(arm)) is not None
        }
        verdicts = judge_accuracy(estimates, rule)
        return {key for key, found in verdicts.items() if found.verdict in (*rule.words, "same")}

    def _estimate(self, arm: Arm) -> DifferenceEstimate | None:
        pairs = [tuple(map(self._values, pair)) for pair in zip(*arm, strict=True)]
        differences = [own["top1"] - plain["top1"] for own, plain in pairs if own and plain]
        if not differences:
            return None
        images = next(own["images"] for own, plain in pairs if own and plain)
        return anytime_estimate(differences, resolution=100 / images if images else 0.0)

    def _values(self, case: Case) -> Mapping[str, float] | None:
        record = self._records.get(case.name)
        if record is None or record.status != "ok":
            return None
        images = (record.training or {}).get("images") or (0, 0)
        return {"top1": float(record.values["top1"] or 0), "images": images[1]}
