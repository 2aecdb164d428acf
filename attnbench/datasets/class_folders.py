"""Image files in folders named for their classes. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from attnbench.errors import RequestError

_ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""As torchvision's ``IMG_EXTENSIONS``."""


@cache
def endings() -> tuple[str, ...]:
    """Return what the name of an image ends in, in lower case."""
    from PIL import features

    return (*_ENDINGS, ".avif") if "avif" in features.get_supported_modules() else _ENDINGS


def folders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, sorted; none where it cannot be read.

    Hidden ones do not count, links to folders do.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(one.name for one in entries if one.is_dir() and one.name[0] != ".")
    except OSError:
        return []


def image_files(folder: Path) -> list[tuple[str, int]]:
    """Return the images in a folder and those below it: relative paths and sizes, sorted.

    Hidden files and folders do not count, nor do files that are no images by their ending. Links
    are followed; one that leads nowhere counts, with size 0, so that it is reported.

    Raises:
        RequestError: a folder cannot be read.
    """
    return sorted(_walk(folder, "", (os.path.realpath(folder),)))


def _walk(folder: Path, below: str, above: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    try:
        with os.scandir(folder / below) as scanned:
            entries = [one for one in scanned if one.name[0] != "."]
    except OSError as error:
        raise RequestError(f"folder {folder / below} cannot be read: {error.strerror}") from error
    for entry in entries:
        path = f"{below}{entry.name}"
        if entry.is_dir():
            real = os.path.realpath(entry.path)
            if real not in above:  # a link to a folder that it lies in would go round for ever
                yield from _walk(folder, f"{path}/", (*above, real))
        elif entry.name.lower().endswith(endings()) and (entry.is_file() or entry.is_symlink()):
            yield path, entry.stat().st_size if entry.is_file() else 0
