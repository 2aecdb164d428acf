"""What comparing two runs finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

Verdict = Literal[
    "regressions", "improvements", "unchanged", "inconclusive", "incomparable", "added", "missing"
]
Value = int | float | str | None


@dataclass(frozen=True)
class Change:
    """One metric of one case, in both runs."""

    case: str
    metric: str
    """``status`` for the case as a whole, else ``params``, ``overhead``, ``top1`` ..."""
    base: Value
    new: Value
    low: float | None = None
    """Lower end of the 95% interval of the change; None for what is exact."""
    high: float | None = None
    reason: str = ""
    """Why it is judged so, in words for the person who made the change."""
    smallest: float | None = None
    """The smallest change that could have been seen, of what is inconclusive."""


@dataclass(frozen=True)
class Comparison:
    """All changes between two runs, by verdict."""

    regressions: tuple[Change, ...] = ()
    improvements: tuple[Change, ...] = ()
    unchanged: tuple[Change, ...] = ()
    inconclusive: tuple[Change, ...] = ()
    incomparable: tuple[Change, ...] = ()
    added: tuple[Change, ...] = ()
    missing: tuple[Change, ...] = ()
    """Cases that are no longer there, or newly skipped."""
    notes: tuple[str, ...] = ()
    """Of the runs as a whole: other machine, other versions, and what that leaves to compare."""

    def failed(self, *, strict: bool = False, allow_missing: bool = False) -> bool:
        """Whether a gate does not hold.

        Args:
            strict: what is inconclusive fails, too.
            allow_missing: what is missing does not.
        """
        missing = self.missing and not allow_missing
        return bool(self.regressions or missing or (strict and self.inconclusive))

    def all(self) -> Iterator[tuple[str, Change]]:
        """Yield every change with the name of its verdict."""
        for one in fields(self):
            if one.name != "notes":
                yield from ((one.name, change) for change in getattr(self, one.name))

    def to_json(self) -> dict[str, Any]:
        """Return the document that ``compare --json`` prints."""
        return asdict(self)
