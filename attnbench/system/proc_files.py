"""Readers of the small files in which Linux reports its state; a missing one is no error."""

from __future__ import annotations

from pathlib import Path


def read(path: Path) -> str | None:
    """Return the stripped text of a file; None where it is missing or cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except (OSError, ValueError):
        return None


def read_number(path: Path) -> int | None:
    """Return the integer in a file; None where there is none (``max``, nothing, no file)."""
    return number(read(path))


def number(text: str | None) -> int | None:
    """Return a text as an integer, or None."""
    try:
        return int(text or "")
    except ValueError:
        return None


def read_table(path: Path) -> dict[str, int]:
    """Return the lines ``key value`` or ``key: value kB`` of a file whose value is an integer."""
    lines = (line.replace(":", " ").split() for line in (read(path) or "").splitlines())
    pairs = ((words[0], number(words[1])) for words in lines if len(words) > 1)
    return {key: value for key, value in pairs if value is not None}


def globbed(folder: Path, pattern: str) -> list[Path]:
    """Return the matching files in order; none where the folder cannot be read."""
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []
