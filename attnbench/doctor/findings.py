"""A finding of the doctor: the observed value, its effect on timing, and the remedy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["ok", "note", "warning"]


@dataclass(frozen=True)
class SystemFinding:
    """The result of one check.

    Attributes:
        name: the name of the check, such as ``"frequency governor"``.
        level: ``ok``; ``note`` (information only); ``warning`` (to be remedied before timing).
        value: the observed value, with its unit.
        why: the adverse effect on timing; empty if there is none.
        remedy: the remedy, as a command where one exists; empty if there is none.
    """

    name: str
    level: Level
    value: str
    why: str = ""
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)
