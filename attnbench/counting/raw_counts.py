"""Counts of another tool, operator by operator, with those of our rules for the same calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


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
        name: name of the counter, ``"fvcore"``.
        version: version of the installed tool.
        unit: the counted operations, in words.
        factor: its units per MAC of a convolution or matrix product.
        total: its total, in its own unit.
        rows: the operators that make up the total, and those missing from it.
        unsupported: operators that ran and that the tool cannot count, with the number of calls.
    """

    name: str
    version: str
    unit: str
    factor: int
    total: int
    rows: tuple[RawCount, ...]
    unsupported: Mapping[str, int]

    @property
    def per_operator(self) -> dict[str, int]:
        """The tool's own numbers, summed by operator."""
        sums: dict[str, int] = {}
        for row in self.rows:
            sums[row.operator] = sums.get(row.operator, 0) + row.raw
        return sums
