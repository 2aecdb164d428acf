"""Accuracy of two runs, compared seed by seed: NEW's top-1 less BASE's from the same seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from attnbench.regression.compare.comparison import (
    OUTCOMES,
    Judged,
    MetricChange,
    RecordPair,
    differing,
)
from attnbench.regression.compare.exact_metrics import finite
from attnbench.regression.compare.gates import TOP1, Gates
from attnbench.stats.paired_difference import DifferenceEstimate, beyond, estimate
from attnbench.stats.power import detectable
from attnbench.stats.verdict import AccuracyRule, Verdict, judge_accuracy

_PACKAGES = ("torch", "torchvision", "timm")
_SAME_DATA = ("dataset", "synthetic", "images", "classes", "unreadable", "weights", "device")


def judge_accuracies(pairs: Sequence[RecordPair], gates: Gates) -> Iterator[Judged]:
    """Judge the accuracies of all networks together."""
    if not gates.judges(TOP1):
        return
    allowed = gates.allowed(TOP1)
    rows: dict[str, _Row] = {}
    for name, group in _grouped(pairs).items():
        row = _Row(name, tuple(group))
        if row.is_same:
            yield "unchanged", row.change("the same in every seed", 0.0)
        elif why := row.unlike:
            yield "incomparable", row.change(why)
        else:
            rows[name] = row
    yield from _judged(rows, allowed)


@dataclass(frozen=True)
class _Row:
    """One network with the seeds that both runs trained."""

    name: str
    pairs: tuple[RecordPair, ...]

    @property
    def is_same(self) -> bool:
        return all(pair.base.values == pair.new.values for pair in self.pairs)

    @property
    def unlike(self) -> str:
        """Reason why the trainings are incomparable; empty if they are comparable."""
        return next(filter(None, map(_unlike, self.pairs)), "")

    def tops(self, side: str) -> list[float]:
        """Return the top-1 accuracy of each seed, for ``base`` or ``new``."""
        found = (getattr(pair, side).values.get(TOP1) for pair in self.pairs)
        return [float(top) for top in found if top is not None]

    @property
    def difference(self) -> DifferenceEstimate:
        """Mean over seeds of NEW less BASE, in points."""
        pairs = zip(self.tops("new"), self.tops("base"), strict=True)
        return estimate([new - base for new, base in pairs], resolution=self._resolution)

    @property
    def _resolution(self) -> float:
        images = _facts(self.pairs[0], "new").get("images")
        return 100.0 / images[1] if images else 0.0

    def change(self, reason: str, value: float | None = None) -> MetricChange:
        base, new = (_mean(self.tops(side)) for side in ("base", "new"))
        return MetricChange(self.name, TOP1, base, new, reason=reason, change=value)


def _judged(rows: Mapping[str, _Row], allowed: float) -> Iterator[Judged]:
    estimates = {name: row.difference for name, row in rows.items()}
    rule = AccuracyRule(same_margin=max(AccuracyRule().same_margin, allowed))
    past = {name: beyond(difference, allowed) for name, difference in estimates.items()}
    moved, alike = judge_accuracy(past, rule), judge_accuracy(estimates, rule)
    for name, row in rows.items():
        yield _outcome(row, estimates[name], moved[name], alike[name])


def _outcome(row: _Row, found: DifferenceEstimate, moved: Verdict, alike: Verdict) -> Judged:
    change = replace(row.change("", found.mean), low=finite(found.low), high=finite(found.high))
    outcome = OUTCOMES[moved.verdict]
    if outcome == "unchanged":
        return outcome, change
    if outcome != "inconclusive":
        return outcome, replace(change, reason=_seeds(found.count))
    # significant, but perhaps by less than the tolerated change
    is_difference = OUTCOMES[alike.verdict] != "inconclusive"
    reason = _seeds(found.count) if is_difference else str(alike)
    smallest = finite(detectable(found.sd, found.count)) if found.count > 1 else None
    return outcome, replace(change, smallest=smallest, reason=reason)


def _grouped(pairs: Sequence[RecordPair]) -> dict[str, list[RecordPair]]:
    groups: dict[str, list[RecordPair]] = {}
    for pair in pairs:
        if all(record.values.get(TOP1) is not None for record in (pair.base, pair.new)):
            groups.setdefault(pair.seeds_glob, []).append(pair)
    return groups


def _unlike(pair: RecordPair) -> str:
    base, new = _facts(pair, "base"), _facts(pair, "new")
    recipes = [facts.get("recipe") or {} for facts in (base, new)]
    reasons = [differing(base, new, _SAME_DATA), pair.versions(_PACKAGES), pair.suite()]
    if recipes[0].get("hash") != recipes[1].get("hash"):
        reasons.insert(0, f"another recipe under the name {recipes[1].get('name')}")
    return "; ".join(filter(None, reasons))


def _facts(pair: RecordPair, side: str) -> Mapping[str, Any]:
    record = pair.base if side == "base" else pair.new
    return record.training or {}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _seeds(count: int) -> str:
    return f"paired over {count} seeds"
