"""Status of each case in both runs, judged before any metric."""

from __future__ import annotations

from collections.abc import Iterator

from attnbench.records.format import Record
from attnbench.records.store import Run
from attnbench.regression.compare.comparison import MetricChange
from attnbench.regression.compare.record_pair import Judged

STATUS = "status"
ABSENT = "absent"


def statuses(base: Run, new: Run) -> Iterator[Judged]:
    """Judge the cases that are not ``ok`` in both runs."""
    for case in dict.fromkeys([*base.records, *new.records]):
        before, after = base.records.get(case), new.records.get(case)
        found = _judged(case, before, after)
        if found:
            yield found


def _judged(case: str, before: Record | None, after: Record | None) -> Judged | None:
    was, now = _status(before), _status(after)
    reason = (after and after.reason) or ""
    change = MetricChange(case, STATUS, was, now, reason=reason)
    match was, now:
        case ("ok", "ok"):
            return None
        case ("absent", _):
            return "added", change
        case (_, "absent"):
            return "missing", MetricChange(case, STATUS, was, now, reason="NEW has no such case")
        case ("skipped", "skipped") if before and before.reason != reason:
            explanation = f"{reason}; before: {before.reason}"
            return "incomparable", MetricChange(case, STATUS, was, now, reason=explanation)
        case ("failed", "failed") | ("skipped", "skipped"):
            return "unchanged", change
        case (_, "failed"):
            return "regressions", change
        case (_, "skipped"):
            return "missing", change
        case _:
            explanation = f"was {was}: {before.reason if before else ''}"
            return "improvements", MetricChange(case, STATUS, was, now, reason=explanation)


def _status(record: Record | None) -> str:
    return record.status if record else ABSENT
