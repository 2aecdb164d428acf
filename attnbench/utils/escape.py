"""Escaping of any text for terminals, JSON, CSV, Markdown and LaTeX; templates escape HTML.

Texts come from suites, records, cards, names of files and exceptions: none may steer a terminal,
reorder what is read, be a formula of a spreadsheet, or mention a user of GitHub.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape


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
    "✗": r"$\times$",
    "▲": r"$\blacktriangle$",
    "▼": r"$\blacktriangledown$",
    "≠": r"$\neq$",
    "∼": r"$\sim$",
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
    "²": r"\texttwosuperior{}",
    "³": r"\textthreesuperior{}",
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
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2"
    "\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e007f]"
)
"""Controls but for tab and line feed, format characters (Unicode's Cf), line separators, and lone
surrogates."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MARKDOWN = re.compile(r"[\\`*\[\]|$~]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])")
_CODE = re.compile(r"`([^`]+)`")
_MENTION = re.compile(r"(?<![0-9A-Za-z])@(?=[0-9A-Za-z])")
_FORMULA = re.compile(r"[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d+)*|\.\d+)(e[+-]?\d+)?( ?%)?|-+", re.IGNORECASE)


def visible(text: str) -> str:
    r"""Return text with each control, format character and surrogate as an escape, ``\x1b``.

    Tabs and line feeds stay. Text without such characters is unchanged.
    """
    return text if text.isprintable() else _INVISIBLE.sub(_python_escape, text)


def json_text(document: Any) -> str:
    """Return a document as JSON whose texts have these characters as JSON's own escapes."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return _INVISIBLE.sub(lambda match: json.dumps(match[0])[1:-1], text)


def csv_cell(value: Any) -> Any:
    """Return a value for CSV: a text that a spreadsheet would take for a formula gets a ``'``.

    Numbers stay, ``-3`` and ``+2.9%`` as well.
    """
    if not isinstance(value, str):
        return value
    is_formula = _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return f"'{visible(value)}" if is_formula else visible(value)


def _python_escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def latex(text: object) -> EscapedText:
    """Return text escaped for LaTeX, which then typesets it literally."""
    return EscapedText("".join(map(_latex_character, _one_line(text))))


def stack_lines(lines: Sequence[str]) -> EscapedText:
    """Return lines of text for LaTeX, one above the other."""
    text = r" \\ ".join(map(latex, lines))
    return EscapedText(rf"\shortstack{{{text}}}" if len(lines) > 1 else text)


def markdown(text: object) -> EscapedText:
    """Return text escaped for a Markdown paragraph or table cell."""
    escaped = _escape_markdown(visible(_one_line(text)))
    return EscapedText(_MENTION.sub("@&#8203;", escaped))  # a zero-width space ends the mention


def markdown_prose(text: object) -> EscapedText:
    """Return a sentence escaped for Markdown, in which what stands in backticks is code."""
    parts = _CODE.split(str(text))
    escaped = [markdown_code(part) if at % 2 else _padded(part) for at, part in enumerate(parts)]
    return EscapedText("".join(escaped).strip())


def html_prose(text: object) -> Markup:
    """Return a sentence escaped for HTML, in which what stands in backticks is code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def _padded(text: str) -> str:
    """Return text escaped for Markdown, with a blank at each end that has one."""
    before, after = text[:1].isspace(), text[-1:].isspace()
    return f"{' ' * before}{markdown(text)}{' ' * after}" if text.strip() else " " * bool(text)


def markdown_code(text: str) -> EscapedText:
    """Return text as inline code of a Markdown paragraph or table cell."""
    line = visible(_one_line(text))
    if "`" in line or "|" in line:  # would end the code, or the cell
        return EscapedText(f"<code>{_escape_markdown(line)}</code>")
    return EscapedText(f"`{line}`")


def _escape_markdown(line: str) -> str:
    return _MARKDOWN.sub(lambda match: "\\" + match[0], html.escape(line, quote=False))


def _one_line(text: object) -> str:
    return " ".join(_CONTROL.sub(" ", str(text)).split())


def _latex_character(character: str) -> str:
    if character in _LATEX:
        return _LATEX[character]
    if character.isascii() or "\u00a1" <= character <= _LAST_LATIN:
        return character
    # no font in use has it; its code point is better than an error
    return f"U+{ord(character):04X}"
