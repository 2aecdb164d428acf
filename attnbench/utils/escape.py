"""Escaping of any text for Markdown and LaTeX; the template engine escapes HTML."""

from __future__ import annotations

import html
import re


class EscapedText(str):
    """Text that is already escaped."""

    __slots__ = ()


_LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "{}&%$#_"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    # at the start of a row these would be read as arguments of the line break before
    **{character: f"{{{character}}}" for character in "[]*"},
    "×": r"$\times$",
    "✓": r"$\checkmark$",
    "√": r"$\checkmark$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "≈": r"$\approx$",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "→": r"$\to$",
    "∞": r"$\infty$",
    "−": "$-$",
    "²": "$^2$",
    "³": "$^3$",
    "Δ": r"$\Delta$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "λ": r"$\lambda$",
    "µ": r"$\mu$",
    "μ": r"$\mu$",
    "σ": r"$\sigma$",
    "–": "--",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\ldots{}",
}
_LAST_LATIN = "\u017f"  # the last letter in LaTeX's T1 fonts
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MARKDOWN = re.compile(r"[\\`*\[\]|$~]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])")


def latex(text: object) -> EscapedText:
    """Return text escaped for LaTeX, which then typesets it literally."""
    return EscapedText("".join(map(_latex_character, _one_line(text))))


def markdown(text: object) -> EscapedText:
    """Return text escaped for a Markdown paragraph or table cell."""
    escaped = html.escape(_one_line(text), quote=False)
    return EscapedText(_MARKDOWN.sub(lambda match: "\\" + match[0], escaped))


def _one_line(text: object) -> str:
    return " ".join(_CONTROL.sub(" ", str(text)).split())


def _latex_character(character: str) -> str:
    if character in _LATEX:
        return _LATEX[character]
    if character.isascii() or "\u00a1" <= character <= _LAST_LATIN:
        return character
    # no font in use has it; its code point is better than an error
    return f"U+{ord(character):04X}"
