"""Accuracy of two runs, compared seed by seed: NEW's top-1 less BASE's from the same seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
    rows: dict[str, _Row] = {}
    for name, group in _grouped(pairs).items():
        row = _Row(name, group)
        if all(pair.base.values == pair.new.values for pair in group):
            yield "unchanged", row.change("the same in every seed", 0.0)
        elif why := next(filter(None, map(_unlike, group)), ""):
            yield "incomparable", row.change(why)
        else:
            rows[name] = row
    allowed = gates.tolerance_of(TOP1)
    estimates = {name: row.difference() for name, row in rows.items()}
    rule = AccuracyRule(same_margin=max(AccuracyRule().same_margin, allowed))
    past = {name: beyond(difference, allowed) for name, difference in estimates.items()}
    moved, alike = judge_accuracy(past, rule), judge_accuracy(estimates, rule)
    for name, row in rows.items():
        yield _outcome(row, estimates[name], moved[name], alike[name])


@dataclass(frozen=True)
class _Row:
    """One network with the seeds that both runs trained."""

    name: str
    pairs: Sequence[RecordPair]

    def tops(self, side: str) -> list[float]:
        """Return the top-1 accuracy of each seed, for ``base`` or ``new``."""
        return [float(getattr(pair, side).values[TOP1]) for pair in self.pairs]

    def difference(self) -> DifferenceEstimate:
        """Return the mean over seeds of NEW less BASE, in points."""
        images = (self.pairs[0].new.training or {}).get("images")
        pairs = zip(self.tops("new"), self.tops("base"), strict=True)
        resolution = 100.0 / images[1] if images else 0.0
        return estimate([new - base for new, base in pairs], resolution=resolution)

    def change(self, reason: str, value: float | None = None) -> MetricChange:
        base, new = (sum(self.tops(side)) / len(self.pairs) for side in ("base", "new"))
        return MetricChange(self.name, TOP1, base, new, reason=reason, change=value)


def _outcome(row: _Row, found: DifferenceEstimate, moved: Verdict, alike: Verdict) -> Judged:
    change = replace(row.change("", found.mean), low=finite(found.low), high=finite(found.high))
    outcome = OUTCOMES[moved.verdict]
    if outcome == "unchanged":
        return outcome, change
    seeds = f"paired over {found.count} seeds"
    if outcome != "inconclusive":
        return outcome, replace(change, reason=seeds)
    # significant, but perhaps by less than the tolerated change
    reason = seeds if OUTCOMES[alike.verdict] != "inconclusive" else str(alike)
    smallest = finite(detectable(found.sd, found.count)) if found.count > 1 else None
    return outcome, replace(change, smallest=smallest, reason=reason)


def _grouped(pairs: Sequence[RecordPair]) -> dict[str, list[RecordPair]]:
    groups: dict[str, list[RecordPair]] = {}
    for pair in pairs:
        if all(record.values.get(TOP1) is not None for record in (pair.base, pair.new)):
            name = pair.case if pair.new.seed is None else f"{pair.new.case_key},seed=*"
            groups.setdefault(name, []).append(pair)
    return groups


def _unlike(pair: RecordPair) -> str:
    base, new = (record.training or {} for record in (pair.base, pair.new))
    recipes = [facts.get("recipe") or {} for facts in (base, new)]
    reasons = [differing(base, new, _SAME_DATA), pair.versions(_PACKAGES), pair.suite()]
    if recipes[0].get("hash") != recipes[1].get("hash"):
        reasons.insert(0, f"another recipe under the name {recipes[1].get('name')}")
    return "; ".join(filter(None, reasons))
