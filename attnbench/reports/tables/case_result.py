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
    """A case and its record, None where it was not run."""

    case: Case
    record: Mapping[str, Any] | None

    @property
    def status(self) -> str:
        """``ok``, ``failed``, ``skipped`` or ``not run``."""
        return str(self.record["status"]) if self.record else NOT_RUN

    @property
    def reason(self) -> str:
        """Why there are no values."""
        return str((self.record or {}).get("reason") or "")
