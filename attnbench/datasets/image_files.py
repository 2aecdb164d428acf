"""Image files of any color mode as tensors, decoded by PIL, and splits of them.

Transparency is dropped, as in torchvision's ``ImageFolder``. An animation is reduced to its first
frame. An orientation in the EXIF data is applied.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from attnbench.datasets.dataset import LabeledImages
from attnbench.errors import RequestError
from attnbench.timing.isolation import allowed_cores
from attnbench.utils.text import describe

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

MOST_DECODED = 60_000
"""Largest number of images of a split that are fully decoded to validate them.

In larger splits only the headers are read, as decoding all images would take too long.
"""
_FATAL = 0.1
"""Largest share of unreadable images; a split with more is refused."""


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
        shown = ", ".join([*map(printable, bad[:3]), *(["..."] if len(bad) > 3 else [])])
        raise RequestError(
            f"{name}: {len(bad):,} of {len(files):,} images ({len(bad) / len(files):.0%}) cannot "
            f"be decoded: {shown}. Replace or remove them."
        )
    left_out = set(bad)
    kept = [(file, target) for file, target in files if file not in left_out]
    absent = sorted(set(range(len(classes))) - {target for _, target in kept})
    if absent:
        label = classes[absent[0]]
        raise RequestError(f"{name}: class {label!r} has no image that can be decoded. Add some.")
    targets = torch.tensor([target for _, target in kept], dtype=torch.int64)
    image = ImageFileSplit(folder, tuple(file for file, _ in kept))
    return LabeledImages(targets, classes, image, unreadable=tuple(map(printable, bad)))


def decode(path: Path) -> Tensor:
    """Return the image in a file as (3, H, W), uint8.

    Raises:
        Exception: of any kind; PIL's readers raise many on damaged files.
    """
    import torch

    with _quiet():
        image = _open(path)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def printable(name: str) -> str:
    """Return a file name with undecodable bytes as escape sequences."""
    return name.encode("utf-8", "backslashreplace").decode()


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the warnings of PIL; not for several threads at once, as the filters are global."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _open(path: Path) -> Image.Image:
    """Return the image in a file, fully decoded, upright and in RGB."""
    # an open file, not its path: Pillow (13.0) swaps the sides of rotated TIFF files read by path
    with path.open("rb") as file, Image.open(file) as opened:
        opened.load()
        with suppress(Exception):  # damaged EXIF data: the pixels are intact
            ImageOps.exif_transpose(opened, in_place=True)
        return _rgb(opened)


def _open_header(path: Path) -> None:
    with Image.open(path):
        pass


def _unreadable(folder: Path, files: Sequence[str]) -> list[str]:
    attempt = _open if len(files) <= MOST_DECODED else _open_header

    def is_sound(file: str) -> bool:
        try:
            attempt(folder / file)
        except MemoryError:  # a property of the machine, not of the file
            raise
        except Exception:
            return False
        return True

    with _quiet(), ThreadPoolExecutor(len(allowed_cores())) as pool:
        sound = pool.map(is_sound, files)
        return [file for file, good in zip(files, sound, strict=True) if not good]


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(_eight_bits(np.asarray(image).astype(np.float64)))
    if image.mode in {"P", "PA", "La", "RGBa"}:
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    return image.convert("RGB")


def _eight_bits(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Scale values of 16 bits to 8; wider or fractional values by their own range."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite((low, high)).all():
        raise ValueError("values that are not finite")
    if low < 0 or high > 65535 or not (values == values.round()).all():
        return ((values - low) * (255 / ((high - low) or 1))).round().astype(np.uint8)
    return (values * (255 / 65535)).round().astype(np.uint8)
