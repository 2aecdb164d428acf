"""Headers of older formats, as the present one has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def upgraded(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return a header of any older format in the present one; what is damaged stays so."""
    found = dict(header)
    if header.get("format") == 1:
        found["suite"] = _without_kinds(header.get("suite"))
    return found


def _without_kinds(suite: Any) -> Any:
    """Format 1 listed the kinds of a suite, of which there was one."""
    if not isinstance(suite, Mapping) or not isinstance(suite.get("suite"), Mapping):
        return suite
    head = {key: value for key, value in suite["suite"].items() if key != "kinds"}
    return {**suite, "suite": head}
