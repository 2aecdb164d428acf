"""Verdicts and statuses as marks, which are read without colors, and their legend."""

from __future__ import annotations

from collections.abc import Iterable

MARKS = {
    "slower": "▲",
    "faster": "▼",
    "worse": "▼",
    "better": "▲",
    "same": "=",
    "inconclusive": "?",
    "withheld": "?",
    "failed": "✗",
    "broken": "✗",
    "regression": "✗",
    "missing": "✗",
    "improvement": "✓",
    "reproduced": "✓",
    "explained": "~",
    "differs": "✗",
    "ok": "✓",
    "warning": "▲",
    "note": "",
    "no verdict": "?",
    "no": "✗",
    "skipped": "",
    "not": "",
}
"""Mark, empty for none, by the first words of a verdict or status."""
_MEANINGS = {
    "reproduced": "reproduced (follows from the source's own formulas)",
    "explained": "explained (by how the source counts)",
    "differs": "differs (for no known reason)",
}
STATUSES = ("failed", "skipped", "not run", "not measured")


def verdict_word(text: str) -> str:
    """Return the words that a verdict or status starts with: ``same`` of ``same within 1%``."""
    starts = (text.partition(":")[0], text.partition(" ")[0].rstrip(","))
    return next((words for words in starts if words in MARKS), "")


def verdict_mark(text: str) -> str:
    """Return the mark of a verdict or status; empty if it has none."""
    return MARKS.get(verdict_word(text), "")


def legend(verdicts: Iterable[str]) -> str:
    """Return the marks of verdicts with their words, ``▲ slower; = same``; empty without any."""
    meanings: dict[str, dict[str, None]] = {}
    for word in map(verdict_word, verdicts):
        if mark := MARKS.get(word):
            meanings.setdefault(mark, {})[_MEANINGS.get(word, word)] = None
    return "; ".join(f"{mark} {' or '.join(words)}" for mark, words in meanings.items())
