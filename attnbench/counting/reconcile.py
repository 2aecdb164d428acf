"""Reconciliation of another counter with our rules, operator by operator.

Every adjustment concerns one operator: the difference between the tool's own number and our rules
for exactly the calls that the tool saw, with a known reason. The total difference is never used as
an adjustment; the part that stays unexplained is the remainder, and a counter with a remainder
does not agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import nn

from attnbench.counting import fvcore_counter, ptflops_counter, torch_flop_counter
from attnbench.counting.raw_counts import RawCounts
from attnbench.counting.trace import Trace
from attnbench.errors import CountingError

UNIT = "MACs of convolutions, linear layers and matrix products; everything else 0"

COUNTERS: Mapping[str, Callable[[nn.Module, tuple[int, ...]], RawCounts]] = {
    "fvcore": fvcore_counter.count,
    "ptflops": ptflops_counter.count,
    "torch": torch_flop_counter.count,
}


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Signed MACs to add to a tool's number, for one operator and one reason."""

    operator: str
    why: str
    macs: int


@dataclass(frozen=True, slots=True)
class CounterReport:
    """The result of one counter, and its conversion to our convention.

    Attributes:
        raw: the tool's total in its own unit, None if it failed.
        unit: the operations that the tool counts.
        adjustments: ``raw / factor + sum(adjustments) == macs``, exactly.
        macs: the tool's number in our convention, None if it failed.
        agree: `macs` equals our rules' MACs; nothing is left unexplained.
        remainder: `macs` less our rules' MACs.
        unsupported: operators that the tool cannot count, with the number of calls.
        factor: the tool's units per MAC.
        version: version of the tool.
        reason: reason of the failure, or "".
    """

    raw: int | None
    unit: str
    adjustments: tuple[Adjustment, ...] = ()
    macs: int | None = None
    agree: bool = False
    remainder: int | None = None
    unsupported: Mapping[str, int] = field(default_factory=dict)
    factor: int = 1
    version: str = ""
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of a counter."""
        return {**asdict(self), "adjustments": [asdict(part) for part in self.adjustments]}


def count_all(
    model: nn.Module, input_size: tuple[int, ...], trace: Trace
) -> dict[str, CounterReport]:
    """Run every counter on its own copy of `model` and reconcile it with `trace`."""
    reports = {"rules": _rules(trace)}
    for name, count in COUNTERS.items():
        try:
            reports[name] = reconcile(count(model, input_size), trace)
        except CountingError as error:
            reports[name] = CounterReport(raw=None, unit="", reason=str(error))
    return reports


def reconcile(raw: RawCounts, trace: Trace) -> CounterReport:
    """Convert a tool's result to our convention, as far as it can be explained."""
    adjustments = _adjustments(raw)
    whole, rest = divmod(raw.total, raw.factor)
    macs = whole + sum(part.macs for part in adjustments)
    return CounterReport(
        raw=raw.total,
        unit=raw.unit,
        adjustments=adjustments,
        macs=macs,
        agree=macs == trace.macs and not rest,
        remainder=macs - trace.macs,
        unsupported=raw.unsupported,
        factor=raw.factor,
        version=raw.version,
    )


def _adjustments(raw: RawCounts) -> tuple[Adjustment, ...]:
    sums: dict[tuple[str, str], int] = {}
    for row in raw.rows:
        if row.why:
            key = (row.operator, row.why)
            sums[key] = sums.get(key, 0) + row.macs - row.raw // raw.factor
    return tuple(Adjustment(name, why, macs) for (name, why), macs in sums.items() if macs)


def _rules(trace: Trace) -> CounterReport:
    # operators of a library other than torch: their computation is unknown
    foreign = Counter(op.name for op in trace.ops if "::" in op.name)
    return CounterReport(
        raw=trace.macs,
        unit=UNIT,
        macs=trace.macs,
        agree=not foreign,
        remainder=0,
        unsupported=dict(foreign),
    )
