"""What another counter said, operator by operator, beside our rules for the same calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RawCount:
    """One operator as the other tool saw it.

    Attributes:
        operator: its name there; what the tool lumps together (a product and its bias) is two
            rows.
        raw: what the tool counted, in its own unit.
        macs: our rules for exactly the calls that the tool saw (or failed to see).
        why: the known reason for a difference; without one, a difference stays unexplained.
    """

    operator: str
    raw: int
    macs: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class RawCounts:
    """The answer of one tool, before reconciliation.

    Attributes:
        name: of the counter, ``"fvcore"``.
        version: of the installed tool.
        unit: what it counts, in words.
        factor: its units per MAC of a convolution or matrix product.
        total: its total, in its own unit.
        rows: the operators that the total is made of, and those that it lacks.
        unsupported: operators that it met and has no number for, with their counts.
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
