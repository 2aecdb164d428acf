"""A case of a table and its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnbench.suites.case import Case

NOT_RUN = "not run"


@dataclass(frozen=True)
class CaseResult:
    """A case and its record, which is None if the case was not run."""

    case: Case
    record: Mapping[str, Any] | None

    @property
    def status(self) -> str:
        """Return ``ok``, ``failed``, ``skipped`` or ``not run``."""
        return str(self.record["status"]) if self.record else NOT_RUN

    @property
    def reason(self) -> str:
        """Return the reason for missing values."""
        return str((self.record or {}).get("reason") or "")
