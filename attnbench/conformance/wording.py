"""How findings word what they list. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

SHOWN = 4
"""Names that a sentence bears; the values of the finding hold them all."""


def listed(names: Iterable[object]) -> str:
    """Return the first names and how many more there are: ``a, b, c, d and 3 more``."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more
