"""A finding of the doctor: what was seen, why it hurts timing, what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["ok", "note", "warning"]


@dataclass(frozen=True)
class SystemFinding:
    """One thing that was looked at.

    Attributes:
        name: of the check, ``"frequency governor"``.
        level: ``ok``; ``note`` (worth knowing); ``warning`` (do something before timing).
        value: what was seen, with its unit.
        why: why it hurts timing; empty where it does not.
        remedy: what to do, a command where there is one; empty where nothing can be done.
    """

    name: str
    level: Level
    value: str
    why: str = ""
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)
