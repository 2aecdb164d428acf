"""Accuracy of two runs compared, seed by seed: NEW's top-1 less BASE's, trained from one seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from attnbench.regression.compare.comparison import MetricChange
from attnbench.regression.compare.exact_metrics import finite
from attnbench.regression.compare.gates import TOP1, Gates
from attnbench.regression.compare.record_pair import Judged, RecordPair, differing
from attnbench.stats.accuracy_verdict import AccuracyRule, AccuracyVerdict, judge, text
from attnbench.stats.paired_difference import DifferenceEstimate, beyond, estimate
from attnbench.stats.power import detectable

_PACKAGES = ("torch", "torchvision", "timm")
_SEED = ",seed="
_SAME_DATA = ("dataset", "synthetic", "images", "classes", "unreadable", "weights", "device")


def accuracies(pairs: Sequence[RecordPair], gates: Gates) -> Iterator[Judged]:
    """Judge the accuracies of all networks, all together."""
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


def group_of(case: str) -> str:
    """Return the name that stands for all seeds of a training: a glob."""
    head, found, _ = case.rpartition(_SEED)
    return f"{head}{_SEED}*" if found else case


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
        """Why the trainings are not of one thing, or nothing."""
        return next(filter(None, map(_unlike, self.pairs)), "")

    def tops(self, side: str) -> list[float]:
        """The top-1 of each seed, of ``base`` or ``new``."""
        found = (getattr(pair, side).values.get(TOP1) for pair in self.pairs)
        return [float(one) for one in found if one is not None]

    @property
    def difference(self) -> DifferenceEstimate:
        """The mean over seeds of NEW less BASE, in points."""
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
    found = {name: row.difference for name, row in rows.items()}
    rule = replace(AccuracyRule(), same_margin=max(AccuracyRule().same_margin, allowed))
    moved = judge({name: beyond(one, allowed) for name, one in found.items()}, rule)
    alike = judge(found, rule)
    for name, row in rows.items():
        yield _verdict(row, found[name], moved[name], alike[name], rule)


def _verdict(
    row: _Row,
    found: DifferenceEstimate,
    moved: AccuracyVerdict,
    alike: AccuracyVerdict,
    rule: AccuracyRule,
) -> Judged:
    change = replace(row.change("", found.mean), low=finite(found.low), high=finite(found.high))
    if moved.verdict == "worse":
        return "regressions", replace(change, reason=_seeds(found.count))
    if moved.verdict == "better":
        return "improvements", replace(change, reason=_seeds(found.count))
    if moved.verdict != "none" and max(abs(found.low), abs(found.high)) <= rule.same_margin:
        return "unchanged", change
    told = moved if moved.verdict == "none" else alike
    smallest = finite(detectable(found.sd, found.count)) if found.count > 1 else None
    return "inconclusive", replace(change, smallest=smallest, reason=_undecided(found, told))


def _undecided(found: DifferenceEstimate, judgement: AccuracyVerdict) -> str:
    said = text(judgement)
    return said if judgement.verdict in ("none", "inconclusive") else _seeds(found.count)


def _grouped(pairs: Sequence[RecordPair]) -> dict[str, list[RecordPair]]:
    groups: dict[str, list[RecordPair]] = {}
    for pair in pairs:
        if all(one.values.get(TOP1) is not None for one in (pair.base, pair.new)):
            groups.setdefault(group_of(pair.case), []).append(pair)
    return groups


def _unlike(pair: RecordPair) -> str:
    base, new = _facts(pair, "base"), _facts(pair, "new")
    recipes = [one.get("recipe") or {} for one in (base, new)]
    said = [differing(base, new, _SAME_DATA), pair.versions(_PACKAGES), pair.suite()]
    if recipes[0].get("hash") != recipes[1].get("hash"):
        said.insert(0, f"another recipe under the name {recipes[1].get('name')}")
    return "; ".join(filter(None, said))


def _facts(pair: RecordPair, side: str) -> Mapping[str, Any]:
    record = pair.base if side == "base" else pair.new
    return record.training or {}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _seeds(count: int) -> str:
    return f"paired over {count} seeds"
