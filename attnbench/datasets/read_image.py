"""Decoding of image files of any color mode into tensors, by PIL.

Transparency is dropped, as in torchvision's ``ImageFolder``. An animation is reduced to its first
frame. An orientation in the EXIF data is applied.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Transformation that makes an image upright, by EXIF orientation."""
_DEEP = 65535
"""Largest value of 16 bits."""
_lock = threading.Lock()
_quiet: list[warnings.catch_warnings[None]] = []
_inside = 0


def decode(path: Path) -> Tensor:
    """Return the image in a file as (3, H, W), uint8.

    Raises:
        Exception: of any kind; PIL's readers raise many on damaged files.
    """
    import torch

    return torch.from_numpy(np.array(read(path))).permute(2, 0, 1).contiguous()


def read(path: Path) -> Image.Image:
    """Return the image in a file, fully decoded, upright and in RGB.

    Raises:
        Exception: of any kind; PIL's readers raise many on damaged files.
    """
    # an open file, not its path: Pillow (13.0) swaps the sides of rotated TIFF files read by path
    with quiet(), path.open("rb") as file, Image.open(file) as opened:
        opened.load()
        upright = _UPRIGHT.get(_orientation(opened))
        found = _rgb(opened)
        return found if upright is None else found.transpose(upright)


def read_header(path: Path) -> None:
    """Read only the header of an image file, which contains the image's size.

    Raises:
        Exception: of any kind; the file is no image.
    """
    with quiet(), Image.open(path):
        pass


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress the warnings of PIL while entered, by any number of threads."""
    # catch_warnings alone would restore wrong filters if threads overlap
    global _inside
    with _lock:
        if not _inside:
            _quiet.append(warnings.catch_warnings())
            _quiet[-1].__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _quiet.pop().__exit__(None, None, None)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; 1 (upright) if the EXIF data are damaged."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # the pixels are intact, and no other source gives the orientation
        return 1


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
    if low < 0 or high > _DEEP or not (values == values.round()).all():
        return ((values - low) * (255 / ((high - low) or 1))).round().astype(np.uint8)
    return (values * (255 / _DEEP)).round().astype(np.uint8)
