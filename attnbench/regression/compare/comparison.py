"""Result of comparing two runs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Verdict = Literal[
    "regressions", "improvements", "unchanged", "inconclusive", "incomparable", "added", "missing"
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
OUTCOMES: Mapping[str, Verdict] = {
    **dict.fromkeys(("slower", "worse"), "regressions"),
    **dict.fromkeys(("faster", "better"), "improvements"),
    "same": "unchanged",
    **dict.fromkeys(("inconclusive", "none"), "inconclusive"),
}
"""Statistical verdict on NEW against BASE -> verdict of the comparison."""
Value = int | float | str | None


@dataclass(frozen=True)
class MetricChange:
    """One metric of one case, in both runs."""

    case: str
    metric: str
    """``status`` for the case as a whole, else ``params``, ``overhead``, ``top1`` ..."""
    base: Value
    new: Value
    low: float | None = None
    """Lower end of the 95% interval of the change; None for an exact metric. A fraction of BASE's
    overhead for ``overhead`` (0.05 is 5% slower), points for ``top1``."""
    high: float | None = None
    reason: str = ""
    """Reason for the verdict, in words for the author of the change."""
    smallest: float | None = None
    """Smallest detectable change of an inconclusive metric, in the unit of ``low``."""
    change: float | None = None
    """Change from BASE to NEW: a fraction of BASE, points for ``top1``; None without a number."""


@dataclass(frozen=True)
class RunComparison:
    """All changes between two runs, by verdict."""

    regressions: tuple[MetricChange, ...] = ()
    improvements: tuple[MetricChange, ...] = ()
    unchanged: tuple[MetricChange, ...] = ()
    inconclusive: tuple[MetricChange, ...] = ()
    incomparable: tuple[MetricChange, ...] = ()
    added: tuple[MetricChange, ...] = ()
    missing: tuple[MetricChange, ...] = ()
    """Cases that NEW does not have, or newly skips."""
    notes: tuple[str, ...] = ()
    """Notes on the runs as a whole: other machine, other versions, what is not compared."""
    base: str = "BASE"
    """Path of the base run, as a command takes it; empty where there is no such file, and nothing
    to accept."""
    new: str = "NEW"

    def failed(self, *, strict: bool = False, allow_missing: bool = False) -> bool:
        """Return whether a gate fails.

        Args:
            strict: an inconclusive metric fails, too.
            allow_missing: a missing case does not fail.
        """
        missing = self.missing and not allow_missing
        return bool(self.regressions or missing or (strict and self.inconclusive))

    def all(self) -> Iterator[tuple[str, MetricChange]]:
        """Yield every change with the name of its verdict."""
        for name in VERDICTS:
            yield from ((name, change) for change in getattr(self, name))

    def accept_command(self, case: str) -> str:
        """Return the command that takes a case of the new run into the baseline."""
        words = ["attnbench", "accept", self.base, self.new, case]
        return f'{shlex.join(words)} --reason "..."'

    def to_json(self, *, strict: bool = False, allow_missing: bool = False) -> dict[str, Any]:
        """Return the document that ``compare --json`` prints; the options are those of ``failed``.

        Beside the verdicts it has ``ok``, ``notes``, ``base`` and ``new``, and each regression and
        missing case has ``accept``, the command that accepts it.
        """
        document = asdict(self)
        named = (*document["regressions"], *document["missing"]) if self.base else ()
        for entry in named:
            entry["accept"] = self.accept_command(entry["case"])
        ok = not self.failed(strict=strict, allow_missing=allow_missing)
        return {"ok": ok, **document}
