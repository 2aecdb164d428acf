"""Verdicts and statuses on a terminal: a color and, for the colour-blind, a mark."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.text import Text

from attnbench.utils.escape import visible

_BAD, _GOOD, _OPEN, _MISSING = "red", "green", "yellow", "dim"
_WORDS = {
    "slower": ("▲", _BAD),
    "faster": ("▼", _GOOD),
    "worse": ("▼", _BAD),
    "better": ("▲", _GOOD),
    "same": ("=", ""),
    "inconclusive": ("?", _OPEN),
    "withheld": ("?", _OPEN),
    "failed": ("✗", _BAD),
    "broken": ("✗", _BAD),
    "regression": ("✗", _BAD),
    "missing": ("✗", _BAD),
    "improvement": ("✓", _GOOD),
    "reproduced": ("✓", _GOOD),
    "explained": ("~", _OPEN),
    "differs": ("✗", _BAD),
    "ok": ("✓", _GOOD),
    "warning": ("▲", _BAD),
    "note": ("", _OPEN),
    "no verdict": ("?", _OPEN),
    "no": ("✗", _BAD),
    "skipped": ("", _MISSING),
    "not": ("", _MISSING),
}
"""Mark and style by the first words of a verdict or status."""
_MEANINGS = {
    "reproduced": "reproduced (follows from the source's own formulas)",
    "explained": "explained (by how the source counts)",
    "differs": "differs (for no known reason)",
}
_STYLED = re.compile(
    r"\b(?:(no )?(regression|improvement)s?|slower|faster|worse|better|inconclusive|withheld|failed"
    r"|broken|missing|skipped)\b",
    re.IGNORECASE,
)
STATUSES = ("failed", "skipped", "not run", "not measured")


def verdict_text(text: str, *, marked: bool) -> Text:
    """Return a verdict in its color, with its mark where the terminal has the character."""
    mark, style = _WORDS.get(verdict_word(text), ("", ""))
    shown = f"{mark} {text}" if mark and marked else text
    return Text(visible(shown), style)


def verdict_word(text: str) -> str:
    """Return the words that a verdict or status starts with: ``same`` of ``same within 1%``."""
    starts = (text.partition(":")[0], text.partition(" ")[0].rstrip(","))
    return next((words for words in starts if words in _WORDS), "")


def verdict_mark(text: str) -> str:
    """Return the mark of a verdict or status; empty if it has none."""
    return _WORDS.get(verdict_word(text), ("", ""))[0]


def legend(verdicts: Iterable[str]) -> str:
    """Return the marks of verdicts with their words, ``▲ slower; = same``; empty without any."""
    meanings: dict[str, dict[str, None]] = {}
    for word in map(verdict_word, verdicts):
        if mark := _WORDS.get(word, ("", ""))[0]:
            meanings.setdefault(mark, {})[_MEANINGS.get(word, word)] = None
    return "; ".join(f"{mark} {' or '.join(words)}" for mark, words in meanings.items())


def color_verdicts(text: str, style: str = "") -> Text:
    """Return a sentence with its verdicts in their colors; its numbers have none."""
    shown = Text(visible(text), style)
    for found in _STYLED.finditer(shown.plain):
        word = (found[2] or found[0]).lower()
        shown.stylize("" if found[1] else _WORDS[word][1], *found.span())
    return shown
