"""Warm-up: calls whose times are discarded, until they stop getting faster."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median

Timed = Callable[[str, int], float]
"""Timing function of an arm: (arm, calls) -> seconds per call."""


@dataclass
class Warming:
    """Warm-up state of one arm."""

    min_sample_s: float
    seen: list[float] = field(default_factory=list)

    @property
    def calls(self) -> int:
        """Return the estimated number of calls that fill a sample."""
        if not self.seen:
            return 1
        return max(1, math.ceil(self.min_sample_s / max(min(self.seen[-3:]), 1e-9)))

    @property
    def stable(self) -> bool:
        """Return whether the last three samples are no faster than the three before (within 3%)."""
        return len(self.seen) >= 6 and median(self.seen[-3:]) > 0.97 * median(self.seen[-6:-3])


def warm_up(
    arms: Mapping[str, object],
    timed: Timed,
    spent: Callable[[], float],
    *,
    min_sample_s: float,
    cap_s: float,
) -> dict[str, int]:
    """Run all arms in turn until all are stable; return the calls per sample.

    Each arm is sampled at least twice, or once if the first sample alone took more than its
    share of ``cap_s``. After that, warm-up ends when ``spent`` returns ``cap_s`` seconds or more,
    even if arms are not stable.
    """
    warming = {arm: Warming(min_sample_s) for arm in arms}
    for arm in _in_turn(warming):
        state = warming[arm]
        calls = min(state.calls, 8 ** len(state.seen))  # limited growth: first times may be wrong
        state.seen.append(timed(arm, calls))
        if spent() >= cap_s and all(_enough(each, cap_s / len(arms)) for each in warming.values()):
            break
    return {arm: state.calls for arm, state in warming.items()}


def _in_turn(warming: Mapping[str, Warming]) -> Iterator[str]:
    """Yield the arms in turn, repeatedly, until all are stable."""
    while not all(state.stable for state in warming.values()):
        yield from warming


def _enough(state: Warming, share_s: float) -> bool:
    return len(state.seen) >= 2 or (len(state.seen) == 1 and state.seen[0] > share_s)
