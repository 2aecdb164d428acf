"""Gates of the metrics: each is judged exactly, with a tolerance, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attnbench.errors import RequestError, unknown

Gate = str | float
"""``"exact"``, ``"ignore"``, or the tolerated change."""
EXACT = "exact"
IGNORE = "ignore"

COSTS = ("params", "trainable", "macs", "activations", "bytes", "operators")
"""Counts of a cost record; a larger value is worse."""
COUNTERS = "counters"
"""Figures of fvcore, ptflops and torch in a cost record, each the metric ``counters.NAME``."""
OVERHEAD = "overhead"
TOP1 = "top1"
LATENCY = "latency"
"""Ratio of head's time to base's, of ``attnbench ci``; ``overhead`` is relative to plain."""
_ESTIMATED = (OVERHEAD, LATENCY, TOP1)

DEFAULTS: Mapping[str, Gate] = {
    **dict.fromkeys(COSTS, EXACT),
    COUNTERS: EXACT,
    "undelegated": EXACT,
    "graph_breaks": EXACT,
    "peak_bytes": EXACT,
    "output": EXACT,
    "export": EXACT,
    OVERHEAD: 0.01,
    LATENCY: 0.02,
    TOP1: 0.0,
}
"""Default gate of each metric. ``undelegated``: operators that left the runtime's fast path;
``output``: whether it equals eager's. A number is the tolerated change: a fraction; points for
``top1``."""


@dataclass(frozen=True)
class Gates:
    """Gates in effect: the defaults, and those that a project sets for some metrics."""

    given: Mapping[str, Gate]

    def __post_init__(self) -> None:
        for metric, gate in self.given.items():
            if metric not in DEFAULTS:
                raise unknown("metric of gates", metric, DEFAULTS)
            if isinstance(gate, str) and gate not in (EXACT, IGNORE):
                raise RequestError(
                    f"gate of {metric}: got {gate!r}. Choose exact, ignore or a number"
                )
            if metric in _ESTIMATED and gate == EXACT:
                raise RequestError(
                    f"gate of {metric} cannot be exact, since it is measured with noise: got "
                    f"{gate!r}. Use the tolerated change (default: {DEFAULTS[metric]:g}) or ignore"
                )
            if isinstance(gate, float | int) and not gate >= 0:
                raise RequestError(f"gate of {metric} is not a number of 0 or more: got {gate}")

    def judges(self, metric: str) -> bool:
        """Return whether a metric is judged."""
        return self._of(metric) != IGNORE

    def tolerance_of(self, metric: str) -> float:
        """Return the tolerated change: a fraction, points of accuracy; 0 where exact."""
        gate = self._of(metric)
        return 0.0 if isinstance(gate, str) else float(gate)

    def _of(self, metric: str) -> Gate:
        return self.given.get(metric, DEFAULTS[metric])
