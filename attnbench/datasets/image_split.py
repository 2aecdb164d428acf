"""Splits of image files; each file is validated when the data set is loaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attnbench.datasets.dataset import LabeledImages
from attnbench.datasets.read_image import decode, quiet, read, read_header
from attnbench.errors import RequestError
from attnbench.utils.text import describe

if TYPE_CHECKING:
    from torch import Tensor

MOST_DECODED = 60_000
"""Largest number of images of a split that are fully decoded to validate them.

In larger splits only the headers are read, as decoding all images would take too long.
"""
_FATAL = 0.1
"""Largest share of unreadable images; a split with more is refused."""
_SHOWN = 3


@dataclass(frozen=True)
class ImageFileSplit:
    """A decoder of the i-th file of a split; it can be pickled for other processes."""

    folder: Path
    files: tuple[str, ...]

    def __call__(self, index: int) -> Tensor:
        """Return the image at an index, (3, H, W), uint8.

        Raises:
            RequestError: the file cannot be decoded; the error names it.
        """
        path = self.folder / self.files[index]
        try:
            return decode(path)
        except MemoryError:
            raise
        except Exception as error:
            raise RequestError(f"{path} cannot be decoded: {describe(error)}") from error


def from_files(
    name: str, folder: Path, files: Sequence[tuple[str, int]], classes: tuple[str, ...]
) -> LabeledImages:
    """Return a split of image files; undecodable files are excluded and listed.

    Args:
        name: the name of the split in errors, ``"data set food101, train"``.
        folder: the folder that the paths are relative to.
        files: paths and class indices, in order.
        classes: the names of the classes.

    Raises:
        RequestError: more than a tenth of the files are unreadable, or all of a class.
    """
    import torch

    bad = _unreadable(folder, [file for file, _ in files])
    if len(bad) > _FATAL * len(files):
        raise RequestError(
            f"{name}: {len(bad):,} of {len(files):,} images ({len(bad) / len(files):.0%}) cannot "
            f"be decoded: {', '.join(printable(file) for file in bad[:_SHOWN])}"
            f"{', ...' if len(bad) > _SHOWN else ''}"
        )
    left_out = set(bad)
    kept = [(file, target) for file, target in files if file not in left_out]
    absent = sorted(set(range(len(classes))) - {target for _, target in kept})
    if absent:
        raise RequestError(f"{name}: class {classes[absent[0]]!r} has no image that can be decoded")
    targets = torch.tensor([target for _, target in kept], dtype=torch.int64)
    image = ImageFileSplit(folder, tuple(file for file, _ in kept))
    return LabeledImages(targets, classes, image, unreadable=tuple(map(printable, bad)))


def printable(name: str) -> str:
    """Return a file name with undecodable bytes as escape sequences."""
    return name.encode("utf-8", "backslashreplace").decode()


def _unreadable(folder: Path, files: Sequence[str]) -> list[str]:
    attempt = read if len(files) <= MOST_DECODED else read_header

    def sound(file: str) -> bool:
        return _succeeds(attempt, folder / file)

    with quiet(), ThreadPoolExecutor(_threads()) as pool:
        return [file for file, good in zip(files, pool.map(sound, files), strict=True) if not good]


def _threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _succeeds(attempt: Callable[[Path], object], path: Path) -> bool:
    try:
        attempt(path)
    except MemoryError:  # a property of the machine, not of the file
        raise
    except Exception:
        return False
    return True
