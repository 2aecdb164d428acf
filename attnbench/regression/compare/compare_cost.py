"""Comparison of cost cases: counts are exact on every machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attnbench.regression.compare.exact_metrics import judged_count
from attnbench.regression.compare.gates import COSTS, Gates
from attnbench.regression.compare.record_pair import Judged, RecordPair

_PACKAGES = ("torch", "torchvision", "timm")
"""Packages that build and trace a network."""


def costs(pairs: Sequence[RecordPair], gates: Gates) -> Iterator[Judged]:
    """Judge the counts of cost cases."""
    for pair in pairs:
        versions = pair.versions(_PACKAGES)
        for metric in filter(gates.judges, COSTS):
            found = judged_count(
                pair,
                metric,
                pair.base.values.get(metric),
                pair.new.values.get(metric),
                gates.allowed(metric),
                versions,
            )
            if found:
                yield found
