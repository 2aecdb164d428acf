"""Reconciliation of another counter with our rules, operator by operator.

Every adjustment concerns one operator: the difference between the tool's own number and our rules
for exactly the calls that the tool saw, with a known reason. The total difference is never used as
an adjustment; the part that stays unexplained is the remainder, and a counter with a remainder
does not agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from attnbench.counting.trace import Trace


@dataclass(frozen=True, slots=True)
class RawCount:
    """One operator as the other tool counted it.

    Attributes:
        operator: its name in the tool; parts that the tool adds together (a product and its bias)
            are two rows.
        raw: the tool's count, in its own unit.
        macs: our rules for exactly the calls that the tool saw (or failed to see).
        why: the known reason for a difference; without one, a difference stays unexplained.
    """

    operator: str
    raw: int
    macs: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class RawCounts:
    """The result of one tool, before reconciliation.

    Attributes:
        version: version of the installed tool.
        unit: the counted operations, in words.
        total: its total, in its own unit.
        rows: the operators that make up the total, and those missing from it.
        unsupported: operators that ran and that the tool cannot count, with the number of calls.
        factor: its units per MAC of a convolution or matrix product.
    """

    version: str
    unit: str
    total: int
    rows: tuple[RawCount, ...]
    unsupported: Mapping[str, int]
    factor: int = 1


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
        agree: `macs` equals our rules' MACs; nothing is left unexplained, and every operator has
            a rule.
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


def reconcile(raw: RawCounts, trace: Trace) -> CounterReport:
    """Convert a tool's result to our convention, as far as it can be explained."""
    sums = Counter[tuple[str, str]]()
    for row in raw.rows:
        if row.why:
            sums[row.operator, row.why] += row.macs - row.raw // raw.factor
    adjustments = tuple(Adjustment(name, why, macs) for (name, why), macs in sums.items() if macs)
    whole, rest = divmod(raw.total, raw.factor)
    macs = whole + sum(part.macs for part in adjustments)
    return CounterReport(
        raw=raw.total,
        unit=raw.unit,
        adjustments=adjustments,
        macs=macs,
        agree=macs == trace.macs and not rest and not trace.uncounted,
        remainder=macs - trace.macs,
        unsupported=raw.unsupported,
        factor=raw.factor,
        version=raw.version,
    )
