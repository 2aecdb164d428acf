"""Verdicts and statuses on a terminal: a color and, for the colour-blind, a mark."""

from __future__ import annotations

import re

from rich.text import Text

from attnbench.reports.tables.verdict_marks import verdict_mark, verdict_word
from attnbench.utils.escape import visible

_BAD, _GOOD, _OPEN, _MISSING = "red", "green", "yellow", "dim"
_STYLES = {
    "slower": _BAD,
    "faster": _GOOD,
    "worse": _BAD,
    "better": _GOOD,
    "inconclusive": _OPEN,
    "withheld": _OPEN,
    "failed": _BAD,
    "passed": _GOOD,
    "broken": _BAD,
    "regression": _BAD,
    "missing": _BAD,
    "improvement": _GOOD,
    "reproduced": _GOOD,
    "explained": _OPEN,
    "differs": _BAD,
    "ok": _GOOD,
    "warning": _BAD,
    "note": _OPEN,
    "no verdict": _OPEN,
    "no": _BAD,
    "skipped": _MISSING,
    "not": _MISSING,
}
"""Style by the first words of a verdict or status."""
_STYLED = re.compile(
    r"\b(?:(no )?(regression|improvement)s?|slower|faster|worse|better|inconclusive|withheld|failed"
    r"|passed|broken|missing|skipped)\b",
    re.IGNORECASE,
)


def verdict_text(text: str, *, marked: bool) -> Text:
    """Return a verdict in its color, with its mark where the terminal has the character."""
    mark = verdict_mark(text)
    shown = f"{mark} {text}" if mark and marked else text
    return Text(visible(shown), _STYLES.get(verdict_word(text), ""))


def color_verdicts(text: str, style: str = "") -> Text:
    """Return a sentence with its verdicts in their colors; its numbers have none."""
    shown = Text(visible(text), style)
    for found in _STYLED.finditer(shown.plain):
        word = (found[2] or found[0]).lower()
        shown.stylize("" if found[1] else _STYLES[word], *found.span())
    return shown
