"""Timing samples of one process: the seconds of every arm in every round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from attnbench.errors import RequestError, suggestion

AGAIN = "baseline again"
"""Name of the A/A arm: the baseline, timed a second time as if it were another arm."""


@dataclass(frozen=True)
class TimingSamples:
    """The rounds of one process.

    Attributes:
        baseline: the arm that the others are compared with.
        seconds: arm -> seconds per call, one figure per round; the same length for each. They
            include the baseline and :data:`AGAIN`.
        calls: arm -> calls per figure; the figure is their mean.
        warmup_s: seconds spent before the first round.
        sampling_s: seconds spent on the rounds, including the discarded ones.
        stopped: ``"narrow"`` (every interval was narrow enough), ``"budget"`` or ``"rounds"``.
        dropped: number of rounds discarded because the device was throttled in them.
        conditions: fixed conditions of the process: threads, affinity, garbage collection.
    """

    baseline: str
    seconds: Mapping[str, tuple[float, ...]]
    calls: Mapping[str, int]
    warmup_s: float
    sampling_s: float
    stopped: str
    dropped: int = 0
    conditions: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rounds(self) -> int:
        """Number of rounds."""
        return len(self.seconds[self.baseline])

    def row(self, arm: str) -> tuple[float, ...]:
        """Return the seconds per call of an arm in each round.

        Raises:
            RequestError: no arm has this name.
        """
        if arm not in self.seconds:
            raise RequestError(f"arm is unknown: got {arm!r}.{suggestion(arm, self.seconds)}")
        return self.seconds[arm]

    def only(self, arm: str) -> TimingSamples:
        """Return these samples restricted to the baseline, :data:`AGAIN` and ``arm``.

        An estimate for ``arm`` needs no others.

        Raises:
            RequestError: no arm has this name.
        """
        self.row(arm)
        kept = dict.fromkeys((self.baseline, AGAIN, arm))
        return replace(
            self,
            seconds={name: self.seconds[name] for name in kept},
            calls={name: self.calls[name] for name in kept},
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; seconds have 5 significant digits, far below the noise."""
        return {
            **vars(self),
            "seconds": {arm: [_rounded(s) for s in row] for arm, row in self.seconds.items()},
            "warmup_s": _rounded(self.warmup_s),
            "sampling_s": _rounded(self.sampling_s),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TimingSamples:
        """Return the samples of a JSON form."""
        seconds = {arm: tuple(map(float, row)) for arm, row in data["seconds"].items()}
        return cls(**{**data, "seconds": seconds})


def _rounded(seconds: float) -> float:
    return float(f"{seconds:.5g}")
