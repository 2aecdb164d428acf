"""Specs: a name with its options, ``ulsam,groups=4``. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from attnbench.errors import RequestError

_ARITHMETIC = re.compile(r"channels\s*[*/+-].*|\d+\s*[*/+-]\s*channels")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS: Mapping[str, Any] = {"true": True, "false": False, "none": None}
_IN_FILE = re.compile(r"\s*(.+?\.py:[^\W\d][\w.]*)\s*(?:,|$)", re.DOTALL)
"""The name of an object in a file; the path may contain commas, spaces and equals signs."""
_NAMED = re.compile(r"\s*[a-z][a-z0-9_]*(:\w+)?\s*,\s*[A-Za-z_]\w*\s*=")
"""The beginning of a registered name with options, whose values may look like files' objects."""
_CLOSING: Mapping[str, str] = {"[": "]", "(": ")", "'": "'", '"': '"'}


class Width(Enum):
    """The word ``channels`` as the value of an option: the width of the place."""

    CHANNELS = "channels"


class QuotedText(str):
    """A text that would be read as a number or a constant without its quotes."""


@dataclass(frozen=True)
class Spec:
    """A name and its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the canonical text: options sorted."""
        parts = [f"{key}={value_text(value)}" for key, value in sorted(self.options.items())]
        return ",".join([self.name, *parts])

    def with_options(self, **options: Any) -> Spec:
        """Return the spec with more options, which take precedence."""
        return Spec(self.name, {**self.options, **options})

    def __hash__(self) -> int:
        # the values are excluded: 1 and 1.0 are equal but have different texts
        return hash((self.name, frozenset(self.options)))


def parse_spec(text: str, kind: str = "spec") -> Spec:
    """Parse ``name,key=value,key=value``.

    Values are whole numbers, decimals, ``true``, ``false``, ``none``, words, texts in quotes, and
    lists of these, ``[3,5]`` or ``(3,5)``.

    Raises:
        RequestError: the text is malformed; ``kind`` names the kind of spec in the error.
    """
    found = _IN_FILE.match(text)
    if found and _NAMED.match(text) and not Path(found[1].rpartition(":")[0]).is_file():
        found = None
    name = found[1] if found else text.partition(",")[0].strip()
    if not name:
        raise RequestError(f"{kind} has no name: got {text!r}. Write name,key=value")
    rest = text[found.end() - 1 :] if found else text[text.find(name) + len(name) :].lstrip()
    options: dict[str, Any] = {}
    for part in _split(rest.partition(",")[2]) if "," in rest else ():
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not _KEY.fullmatch(key) or not value:
            raise RequestError(
                f"{kind} {text!r}: option is malformed: got {part!r}. Write key=value"
            )
        if key in options:
            raise RequestError(f"{kind} {text!r}: option {key!r} is given twice. Omit one")
        try:
            options[key] = _value(value)
        except ValueError as error:
            raise RequestError(f"{kind} {text!r}: option {key!r} {error}") from error
    return Spec(name, options)


def _split(text: str) -> Iterator[str]:
    """Yield the pieces between commas, besides those in brackets and quotes."""
    open_, start, begins = "", 0, True
    for at, char in enumerate(text):
        if open_ and char == _CLOSING[open_[-1]]:
            open_ = open_[:-1]
        elif open_[-1:] in ("'", '"'):
            continue
        elif begins and char in _CLOSING:
            open_ += char
        elif char == "," and not open_:
            yield text[start:at].strip()
            start = at + 1
        begins = char in "=,[(" or (begins and char.isspace())
    yield text[start:].strip()


def _value(text: str) -> Any:
    closing = _CLOSING.get(text[:1])
    if closing is None:
        return _plain(text)
    inner = text[1:-1]
    if len(text) < 2 or text[-1] != closing:
        raise ValueError(f"is not closed: got {text!r}. End it with {closing}")
    if closing == text[0]:
        return inner if _plain(inner) == inner else QuotedText(inner)
    pieces = list(_split(inner))
    items = [_value(piece) for piece in (pieces if pieces[-1] else pieces[:-1])]
    return items if closing == "]" else tuple(items)


def _plain(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    if _ARITHMETIC.fullmatch(text):
        raise ValueError(f"is no number: got {text!r}. Write the number, or channels")
    return text


def value_text(value: Any) -> str:
    """Return the text of a value in specs: ``none`` for None, ``true`` for True."""
    for word, meaning in _WORDS.items():
        if value is meaning:
            return word
    if isinstance(value, Width):
        return str(value.value)
    if isinstance(value, list):
        return f"[{','.join(map(_item_text, value))}]"
    if isinstance(value, tuple):
        return f"({','.join(map(_item_text, value))}{',' * (len(value) == 1)})"
    return _quoted(value) if isinstance(value, str) and _needs_quotes(value) else str(value)


def _item_text(value: Any) -> str:
    """Return the text of an item of a list, where brackets and numbers need quotes, too."""
    if type(value) is str and (re.search(r"[])]", value) or _plain(value) != value):
        return _quoted(value)
    return value_text(value)


def _needs_quotes(text: str) -> bool:
    is_odd = not text or "," in text or text[0] in _CLOSING or text != text.strip()
    return is_odd or isinstance(text, QuotedText)


def _quoted(text: str) -> str:
    quote = '"' if "'" in text else "'"
    return f"{quote}{text}{quote}"
