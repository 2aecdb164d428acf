"""Image files of any format and color mode as tensors, decoded by PIL, and splits of them.

The content of a file determines its format, not its name. Transparency is dropped, as in
torchvision's ``ImageFolder``. An animation is reduced to its first frame. An orientation in the
EXIF data is applied. An image has at most :data:`MOST_PIXELS`, which bounds the memory: a larger
JPEG is decoded at a half, a quarter or an eighth of its size, others are not decoded.
"""

from __future__ import annotations

import importlib
import stat
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from attnbench.datasets.dataset import LEFT_OUT, Data, LabeledImages
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
MOST_PIXELS = 2**26
"""Largest number of pixels of a decoded image, 8192x8192: 192 MiB."""
_LARGE_PIXELS = 2**24
"""Number of pixels beyond which images are validated one at a time."""
_ONE_AT_A_TIME = threading.Lock()
_FATAL, _FEW = 0.1, 3
"""Largest share of unusable images, and a number that is always accepted; a split with more is
refused."""
_COMMON = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
_NO_PIXELS = {"EPS", "WMF", "EMF", "BUFR", "GRIB", "HDF5", "MPEG"}
"""Formats that need another program to draw them, such as Ghostscript."""


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
    if too_many(len(bad), len(files)):
        raise RequestError(
            f"{name}: {len(bad):,} of {len(files):,} images ({len(bad) / len(files):.0%}) cannot "
            f"be decoded: {some(bad.values())}. Replace or remove them."
        )
    kept = [(file, target) for file, target in files if file not in bad]
    absent = sorted(set(range(len(classes))) - {target for _, target in kept})
    if absent:
        label = classes[absent[0]]
        lost = some(bad[file] for file, target in files if target == absent[0] and file in bad)
        raise RequestError(
            f"{name}: class {label!r} has no image that can be decoded"
            f"{f': {lost}' if lost else ''}. Add some."
        )
    targets = torch.tensor([target for _, target in kept], dtype=torch.int64)
    image = ImageFileSplit(folder, tuple(file for file, _ in kept))
    return LabeledImages(targets, classes, image, unreadable=tuple(bad.values()))


def file_data(
    name: str,
    splits: Sequence[LabeledImages],
    notes: Sequence[str] = (),
    left_out: Mapping[str, Sequence[str]] | None = None,
) -> Data:
    """Return the data set of a training and a test split, with a note of the files left out.

    Args:
        name: the canonical spec.
        splits: the two splits; their unreadable images are part of the note.
        notes: further notes.
        left_out: names of other files that are left out, by the reason.
    """
    train, test = splits
    kinds = {**(left_out or {}), "unreadable": [*train.unreadable, *test.unreadable]}
    parts = [
        f"{len(files):,} {kind}: {some(map(printable, files))}"
        for kind, files in kinds.items()
        if files
    ]
    count = sum(map(len, kinds.values()))
    files = "file" if count == 1 else "files"
    named = [f"{count:,} {files} {LEFT_OUT}: {'; '.join(parts)}"] if parts else []
    return Data(name, train, test, notes=(*notes, *named))


def too_many(bad: int, count: int) -> bool:
    """Return whether a split with this number of unusable images is refused."""
    return bad > max(_FATAL * count, _FEW)


def some(names: Iterable[str]) -> str:
    """Return the first three names as text, ``a, b, c, ...``."""
    first = list(islice(names, 4))
    return ", ".join([*first[:3], *(["..."] if len(first) > 3 else [])])


def has_reader(ending: str) -> bool:
    """Return whether PIL decodes the usual files of a name ending, ``.jpg``, in lower case."""
    return Image.registered_extensions().get(ending) in formats()


def is_image(path: Path) -> bool:
    """Return whether the content of a file is an image's, by its header."""
    try:
        status = path.stat()
    except OSError:  # a link that leads nowhere
        return False
    regular = stat.S_ISREG(status.st_mode)  # to open a pipe would wait for its writer
    return regular and _is_image(path, status.st_size, status.st_mtime_ns)


@cache
def formats() -> tuple[str, ...]:
    """Return the formats that are decoded, the common ones first; HEIC with ``pillow-heif``."""
    with suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()
    Image.init()
    return (*_COMMON, *(kind for kind in Image.ID if kind not in {*_COMMON, *_NO_PIXELS}))


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
    with path.open("rb") as file, Image.open(file, formats=formats()) as opened:
        large = opened.width * opened.height > _LARGE_PIXELS
        with _ONE_AT_A_TIME if large else nullcontext():
            _reduce(opened)
            opened.load()
            with suppress(Exception):  # damaged EXIF data: the pixels are intact
                ImageOps.exif_transpose(opened, in_place=True)
            return _rgb(opened)


def _reduce(opened: Image.Image) -> None:
    """Request a smaller decoding, which only JPEG has, of an image of too many pixels.

    Raises:
        Image.DecompressionBombError: the image has too many pixels nevertheless.
    """
    width, height = opened.size
    scale = next((by for by in (1, 2, 4) if width * height <= MOST_PIXELS * by**2), 8)
    if scale > 1:
        opened.draft(None, (width // scale, height // scale))
    if opened.width * opened.height > MOST_PIXELS:
        raise Image.DecompressionBombError(f"{width:,}x{height:,} pixels")


def _open_header(path: Path) -> None:
    with Image.open(path, formats=formats()) as opened:
        _reduce(opened)


@lru_cache(maxsize=2**17)
def _is_image(path: Path, size: int, changed: int) -> bool:
    try:
        with _quiet():
            _open_header(path)
    except Image.DecompressionBombError:
        return True
    except Exception:
        return False
    return size > 0


def _unreadable(folder: Path, files: Sequence[str]) -> dict[str, str]:
    """Return the files that cannot be decoded, each with its printable name, and why if known."""
    attempt = _open if len(files) <= MOST_DECODED else _open_header

    def problem(file: str) -> str | None:
        try:
            attempt(folder / file)
        except MemoryError:  # a property of the machine, not of the file
            raise
        except Image.DecompressionBombError:
            return f"{printable(file)} (over {MOST_PIXELS:,} pixels)"
        except Exception:
            return printable(file)
        return None

    formats()  # loads the readers, which is not for several threads
    with _quiet(), ThreadPoolExecutor(len(allowed_cores())) as pool:
        found = zip(files, pool.map(problem, files), strict=True)
        return {file: shown for file, shown in found if shown is not None}


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
