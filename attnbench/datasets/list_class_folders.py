"""Image files in one folder per class. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from attnbench.errors import RequestError

_ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""Name endings of image files, as in torchvision's ``IMG_EXTENSIONS``."""


@cache
def endings() -> tuple[str, ...]:
    """Return the name endings of image files, in lower case."""
    from PIL import features

    return (*_ENDINGS, ".avif") if "avif" in features.get_supported_modules() else _ENDINGS


def folders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, sorted; none where it cannot be read.

    Hidden folders are excluded, links to folders are included.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name for entry in entries if entry.is_dir() and entry.name[0] != "."
            )
    except OSError:
        return []


def image_files(folder: Path) -> list[tuple[str, int]]:
    """Return the images in a folder and its subfolders: relative paths and sizes, sorted.

    Hidden files and folders and files without an image's name ending are excluded. Links are
    followed; a broken link is included with size 0, so that it is reported.

    Raises:
        RequestError: a folder cannot be read.
    """
    return sorted(_walk(folder, "", (os.path.realpath(folder),)))


def _walk(folder: Path, below: str, above: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    try:
        with os.scandir(folder / below) as scanned:
            entries = [entry for entry in scanned if entry.name[0] != "."]
    except OSError as error:
        raise RequestError(f"folder {folder / below} cannot be read: {error.strerror}") from error
    for entry in entries:
        path = f"{below}{entry.name}"
        if entry.is_dir():
            real = os.path.realpath(entry.path)
            if real not in above:  # a link to one of its parent folders would recurse for ever
                yield from _walk(folder, f"{path}/", (*above, real))
        elif entry.name.lower().endswith(endings()) and (entry.is_file() or entry.is_symlink()):
            yield path, entry.stat().st_size if entry.is_file() else 0
