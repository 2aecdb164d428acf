"""Accuracy differences to the plain network that runs have measured, by module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnbench.records.store import FILE, Run, find_run, read_run
from attnbench.registry.settings import settings
from attnbench.reports.overview.entries import OverviewEntry, PlaceSetting, collect
from attnbench.reports.run_report import planned_of
from attnbench.reports.tables.accuracy_columns import learning_notes
from attnbench.reports.tables.accuracy_results import PairedTrainings

_CLASSES = {"better": 0, "same": 1, "worse": 3}
_UNKNOWN = 2


@dataclass(frozen=True)
class KnownAccuracy:
    """The accuracy of a module less that of the plain network, as one run has measured it."""

    verdict: str
    mean: float
    low: float
    high: float
    seeds: int
    backbone: str
    dataset: str
    source: str
    learned: bool
    """Whether the loss fell below that of guessing, in all seeds."""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return dict(vars(self))


def rank_of(known: KnownAccuracy | None) -> int:
    """Return the class of an accuracy: better, same, unknown, worse."""
    return _UNKNOWN if known is None else _CLASSES.get(known.verdict, _UNKNOWN)


def read_accuracies(runs: Iterable[Run], backbone: str) -> dict[str, KnownAccuracy]:
    """Return what runs know of each module: on this backbone if they can, of the most seeds."""
    found: dict[str, KnownAccuracy] = {}
    for run in runs:
        for place in collect([planned_of(run)]):
            for module, entry in place.entries.items():
                for known in _known(entry, run.header.suite_name):
                    earlier = found.get(module)
                    if earlier is None or _order(known, backbone) > _order(earlier, backbone):
                        found[module] = known
    return found


def _order(known: KnownAccuracy, backbone: str) -> tuple[bool, int]:
    return known.backbone == backbone, known.seeds


def _known(entry: OverviewEntry, source: str) -> Iterable[KnownAccuracy]:
    accuracies: Mapping[PlaceSetting, PairedTrainings] = entry.accuracies
    for setting, pair in accuracies.items():
        difference = pair.difference()
        if difference is not None and pair.judgment is not None:
            yield KnownAccuracy(
                pair.judgment.verdict,
                difference.mean,
                difference.low,
                difference.high,
                len(pair.seeds),
                setting.backbone,
                setting.name,
                source,
                not any(learning_notes(pair)),
            )


def find_accuracy_runs(names: Sequence[str] | None, out: Path) -> list[Run]:
    """Return the named runs; by default those with accuracies in the project's baseline.

    Raises:
        RecordError: there is no such run.
    """
    if names is not None:
        return [read_run(find_run(name, out)) for name in names]
    project = settings()
    if project.baseline is None:
        return []
    runs = [read_run(path) for path in sorted((project.root / project.baseline).glob(f"*/{FILE}"))]
    return [
        run for run in runs if any(record.kind == "accuracy" for record in run.records.values())
    ]
