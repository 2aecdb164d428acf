"""Specs: a name with its options, ``ulsam,groups=4``. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attnbench.errors import RequestError

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS: Mapping[str, Any] = {"true": True, "false": False, "none": None}


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

    Values are whole numbers, decimals, ``true``, ``false``, ``none`` or words.

    Raises:
        RequestError: the text is malformed; ``kind`` names the kind of spec in the error.
    """
    name, *parts = (part.strip() for part in text.split(","))
    if not name:
        raise RequestError(f"{kind} has no name: got {text!r}. Write name,key=value")
    options: dict[str, Any] = {}
    for part in parts:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not _KEY.fullmatch(key) or not value:
            raise RequestError(
                f"{kind} {text!r}: option is malformed: got {part!r}. Write key=value"
            )
        if key in options:
            raise RequestError(f"{kind} {text!r}: option {key!r} is given twice. Omit one")
        options[key] = _value(value)
    return Spec(name, options)


def _value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def value_text(value: Any) -> str:
    """Return the text of a value in specs: ``none`` for None, ``true`` for True."""
    for word, meaning in _WORDS.items():
        if value is meaning:
            return word
    return str(value)
