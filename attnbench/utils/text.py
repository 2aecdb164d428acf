"""Display text of paths, exceptions and origins."""

from __future__ import annotations

import inspect
from pathlib import Path

_LONGEST = 2000
"""Maximum number of characters of a reason."""


def origin_of(target: object) -> str:
    """Return ``file.py:12`` for a class or function, else its module."""
    try:
        path = inspect.getsourcefile(target)  # type: ignore[arg-type]
        line = inspect.getsourcelines(target)[1]  # type: ignore[arg-type]
    except (TypeError, OSError):
        return str(getattr(target, "__module__", type(target).__name__))
    return f"{shown_path(path or '?')}:{line}"


def shown_path(path: str | Path) -> str:
    """Return a path for display: relative where it lies below the current folder."""
    full = Path(path)
    try:
        return str(full.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(full)


def shorten(text: str, most: int = _LONGEST) -> str:
    """Return a text of at most 2,000 characters; of a longer one, the rest is counted."""
    if len(text) <= most:
        return text
    kept = text[: most - 50]
    return f"{kept} ... ({len(text) - len(kept):,} more characters)"


def describe(error: BaseException) -> str:
    """Return an exception as one line: its type and the first line of its text."""
    text = str(error).strip().splitlines()
    return shorten(f"{type(error).__name__}: {text[0]}" if text else type(error).__name__)


def import_problem(error: ImportError) -> str:
    """Return why a library cannot be imported, with the remedy: it is no fault of its user."""
    return f"library cannot be imported: {first_line(error)}. Install it anew, or raise ulimit -v"


def first_line(error: BaseException) -> str:
    """Return the first nonblank line of an error, or its type."""
    lines = (line.strip() for line in str(error).splitlines())
    return shorten(next((line for line in lines if line), type(error).__name__))


def describe_value(value: object) -> str:
    """Return a value as an error shows it: of an array or tensor type, shape and dtype."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or dtype is None:
        return shorten(repr(value))
    return f"{type(value).__name__} of shape {tuple(shape)} and {dtype}"


_COUNTED = {
    "cost": ("cost", "costs"),
    "latency": ("latency", "latencies"),
    "accuracy": ("training", "trainings"),
}


def count_cases(kind: str, count: int) -> str:
    """Return ``1 training``, ``48 latencies`` for a number of cases of a kind."""
    one, several = _COUNTED[kind]
    return f"{count} {one if count == 1 else several}"
