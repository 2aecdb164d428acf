"""The request: a network, its runtime, and the limits on what a module may add."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from attnbench.errors import RequestError
from attnbench.suites.case import DEFAULT_SIZE, Conditions

SAMPLING_S = 6.0
_LIMIT = re.compile(r"(\d+(?:\.\d+)?)\s*(%|k|M|G|)")
_SCALES = {"%": 0.01, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


@dataclass(frozen=True)
class Limit:
    """The most that a module may add: a share of the plain network's value, or a number."""

    value: float
    is_share: bool
    text: str

    def most_added(self, plain: float) -> float:
        """Return the most that may be added to the plain network's value."""
        return self.value * plain if self.is_share else self.value


def parse_limit(option: str, text: str, *, share: bool = False) -> Limit:
    """Return the limit of ``5%``, ``20k`` or ``1.5M``; with ``share``, of a percentage alone.

    Raises:
        RequestError: the text is neither.
    """
    found = _LIMIT.fullmatch(text.strip())
    if not found or (share and found[2] != "%"):
        wanted = "a percentage such as 5%" if share else "5%, or a number such as 20k or 1.5M"
        raise RequestError(f"{option} is malformed: got {text!r}. Write {wanted}")
    return Limit(float(found[1]) * _SCALES[found[2]], found[2] == "%", text.strip())


@dataclass(frozen=True)
class ChooseRequest:
    """A network, its runtime, and the limits on what a module may add."""

    backbone: str
    conditions: Conditions
    overhead: Limit
    """Share of the plain network's latency."""
    limits: Mapping[str, Limit] = field(default_factory=dict)
    """Limits by ``params``, ``macs`` and ``peak``."""
    modules: tuple[str, ...] = ("@all",)
    places: tuple[str, ...] = ()
    """Kinds of placements or placements; empty for all kinds."""
    size: tuple[int, int] = DEFAULT_SIZE
    budget_s: float = 600.0
    """Wall time of screening and verification."""
    sampling_s: float = SAMPLING_S
    """Sampling time of a session."""

    @property
    def texts(self) -> dict[str, str]:
        """Return the limits as they were written, by quantity."""
        return {"overhead": self.overhead.text} | {
            name: limit.text for name, limit in self.limits.items()
        }
