"""Durations of measured cases, by what they have in common with a case that is still to come."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from attnbench.errors import AttnbenchError
from attnbench.suites.case import Conditions, Training
from attnbench.training.recipe import find_recipe

_EVIDENCE = {"cost": 3}
"""Number of measured cases from which a duration is known, if not 1: the first count of a process
includes its start and takes a hundred times as long as the next."""
_DEFAULTS: dict[str, Conditions | Training] = {
    "conditions": Conditions(""),
    "training": Training("", ""),
}


@dataclass(frozen=True)
class Work:
    """The work of a case: what it shares with others, from the most to the least, and its size."""

    kind: str
    keys: tuple[str, ...]
    epochs: int = 1
    """Number of epochs of a training; 1 for any other case."""

    @classmethod
    def of(cls, kind: str, content: Mapping[str, Any]) -> Work:
        """Return the work of a case, given by its fields as in a record's ``conditions``."""
        return cls(kind, tuple(_keys(kind, content)), _epochs(content.get("training") or {}))


@dataclass
class _Sum:
    count: int = 0
    total: float = 0.0
    longest: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.total += seconds
        self.longest = max(self.longest, seconds)


class Durations:
    """Durations of measured cases; those of trainings by epoch."""

    def __init__(self) -> None:
        self._sums: defaultdict[str, _Sum] = defaultdict(_Sum)

    def add(self, work: Work, seconds: float) -> None:
        """Add the duration of a case."""
        for key in work.keys:
            self._sums[key].add(seconds / work.epochs)

    def estimate(self, work: Work) -> float | None:
        """Return the mean duration of the most similar cases; None while there are too few."""
        for key in work.keys:
            found = self._sums.get(key)
            if found and found.count >= _EVIDENCE.get(work.kind, 1):
                return _mean(found, work.kind) * work.epochs
        return None


def _mean(found: _Sum, kind: str) -> float:
    """Return the mean; of three or more counts, the longest is left out."""
    if kind == "cost" and found.count > 2:
        return (found.total - found.longest) / (found.count - 1)
    return found.total / found.count


def _keys(kind: str, content: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a case has in common with others: all but the seed, conditions, the kind alone."""
    settings: dict[str, Any] = {}
    for name, defaults in _DEFAULTS.items():  # older records lack what was added later
        given = content.get(name)
        settings |= {**asdict(defaults), **given} if given else {}
    where = [content.get(key) for key in ("backbone", "size", "channels")]
    what = [content.get(key) for key in ("module", "placement", "fused")]
    alike = [settings.get(key) for key in ("runtime", "dataset", "recipe")]
    every = sorted((key, value) for key, value in settings.items() if key != "seed")
    levels: Sequence[list[Any]] = ([every, where, what], [every, where], [alike, where[:1]])
    for level in (*levels, [alike], []):
        yield json.dumps([kind, *level], default=str)


def _epochs(training: Mapping[str, Any]) -> int:
    if not training:
        return 1
    return int(training.get("epochs") or _epochs_of(str(training.get("recipe"))))


@cache
def _epochs_of(recipe: str) -> int:
    with suppress(AttnbenchError, OSError):
        return find_recipe(recipe).epochs
    return 1  # of a record whose recipe is gone
