"""Widths of text in Computer Modern, by which a table is fitted to its page."""

from __future__ import annotations

_DEFAULT = 560
_CLASSES = {
    "ilj.,:;'!": 280,
    "rtf()[]I -": 395,
    "cezs": 445,
    "0123456789/": 500,
    "mwACDGHKNOQRUVX+−=<>~×±▲▼✓✗Δ≈#": 800,
    "MW%": 1000,
}
_WIDTHS = {character: width for text, width in _CLASSES.items() for character in text}
"""Widths in thousandths of the type size, at 10 pt, rounded up."""
_FACTORS = {10: 1.0, 9: 1.028, 8: 1.0625, 7: 1.139}
"""Extra width of Computer Modern's smaller designs."""


def text_width(text: str, size: int) -> float:
    """Return the width in points of a line of text at a type size of 7 to 10 points."""
    units = sum(_WIDTHS.get(character, _DEFAULT) for character in text)
    return units * size * _FACTORS[size] / 1000
