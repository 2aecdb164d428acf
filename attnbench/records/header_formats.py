"""Migration of headers of older formats to the current one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def upgraded(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return a header of any older format in the current one; damaged fields are unchanged."""
    migrated = dict(header)
    if header.get("format") == 1:
        migrated["suite"] = _without_kinds(header.get("suite"))
    return migrated


def _without_kinds(suite: Any) -> Any:
    """Return a suite without the list of kinds, which format 1 had."""
    if not isinstance(suite, Mapping) or not isinstance(suite.get("suite"), Mapping):
        return suite
    head = {key: value for key, value in suite["suite"].items() if key != "kinds"}
    return {**suite, "suite": head}
