"""What comparing two runs finds."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Verdict = Literal[
    "regressions", "improvements", "unchanged", "inconclusive", "incomparable", "added", "missing"
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
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
    """Lower end of the 95% interval of the change; None for what is exact. A fraction of BASE's
    overhead for ``overhead`` (0.05 is 5% slower), points for ``top1``."""
    high: float | None = None
    reason: str = ""
    """Why it is judged so, in words for the person who made the change."""
    smallest: float | None = None
    """The smallest change that could have been seen, of what is inconclusive; as ``low``."""
    change: float | None = None
    """NEW against BASE: a fraction of BASE, points for ``top1``; None where there is no number."""


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
    """Cases that are no longer there, or newly skipped."""
    notes: tuple[str, ...] = ()
    """Of the runs as a whole: other machine, other versions, and what that leaves to compare."""
    base: str = "BASE"
    """Where the run compared with is, as a command is given it; empty where there is no such file,
    and nothing to accept."""
    new: str = "NEW"

    def failed(self, *, strict: bool = False, allow_missing: bool = False) -> bool:
        """Whether a gate does not hold.

        Args:
            strict: what is inconclusive fails, too.
            allow_missing: what is missing does not.
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
        for one in named:
            one["accept"] = self.accept_command(one["case"])
        ok = not self.failed(strict=strict, allow_missing=allow_missing)
        return {"ok": ok, **document}
