"""TOML files, with bounds on what the parser would answer with all of the memory."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

_MOST_PARTS = 50
"""Maximum number of dotted parts of a key: time and memory grow with their square."""
_PART = re.compile(r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\]|\\.)*+"|'[^']*+')[ \t]*+""")
_KEY = re.compile(rf"{_PART.pattern}(?:\.[ \t]*+{_PART.pattern})*+")


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        OSError: the file cannot be read.
        ValueError: as of :func:`parse_toml`, or it is not UTF-8.
    """
    return parse_toml(path.read_text(encoding="utf-8-sig"))


def parse_toml(text: str) -> dict[str, Any]:
    """Return the content of TOML.

    Raises:
        ValueError: it is not TOML, a key has too many dotted parts, or values nest too deeply.
    """
    _refuse_deep_keys(text)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("values are nested too deeply") from None


def _refuse_deep_keys(text: str) -> None:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.count(".") < _MOST_PARTS:
            continue
        for key in _KEY.finditer(line):
            parts = len(_PART.findall(key[0]))
            if parts > _MOST_PARTS:
                raise ValueError(
                    f"key has more than {_MOST_PARTS} dotted parts: got {parts} (at line {number})"
                )
