"""A split of images that come without one, the same on every machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

from attnbench.datasets.image_tree import Files
from attnbench.errors import RequestError

SEED = 0
SHARE = 5
"""One in five images of each class is for testing."""
NOTE = f"no split there: one in {SHARE} images of each class is for testing, drawn by seed {SEED}"


def random_split(classes: Mapping[str, Files], below: str = "") -> dict[str, dict[str, Files]]:
    """Return the images of each class as ``train`` and ``test``.

    A class does not affect the split of another, nor do further images that of most others.

    Args:
        classes: the image files of each class.
        below: the beginning of all paths that has no part in the draw.

    Raises:
        RequestError: a class has a single image.
    """
    found: dict[str, dict[str, Files]] = {"train": {}, "test": {}}
    for name, files in classes.items():
        if len(files) == 1:
            raise RequestError(
                f"class {name!r} has too few images for a split: got 1. Give at least 2."
            )
        count = max(1, round(len(files) / SHARE)) if files else 0
        chosen = set(sorted(files, key=lambda file: _draw(file[0].removeprefix(below)))[:count])
        found["test"][name] = [file for file in files if file in chosen]
        found["train"][name] = [file for file in files if file not in chosen]
    return found


def _draw(path: str) -> bytes:
    return hashlib.blake2b(f"{SEED}\0".encode() + os.fsencode(path)).digest()
