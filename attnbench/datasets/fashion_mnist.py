"""Fashion-MNIST: 70,000 grey images of clothing, 28x28, ten classes (Xiao, Rasul and Vollgraf)."""

# constants take the place of properties
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# pyright: reportAssignmentType=false

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from attnbench.datasets.dataset import Data, PublishedDataset
from attnbench.utils.text import describe

if TYPE_CHECKING:
    from torch import Tensor

_SPLITS = ("train", "t10k")
_KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")


class FashionMnist(PublishedDataset):
    """The published split, from torchvision's folder, a separate one or Debian's package.

    torchvision reads the files; they may be gzipped (``.gz``).
    """

    name = "fashion-mnist"
    title = "Fashion-MNIST (Xiao et al., 2017), grey 28x28"
    page = "https://github.com/zalandoresearch/fashion-mnist"
    terms = "MIT"
    classes = 10
    counts = (60_000, 10_000)
    # the last is the folder of Debian's package dataset-fashion-mnist
    places = ("fashion-mnist", "FashionMNIST/raw", "/usr/share/datasets/fashion-mnist")

    def missing(self, root: Path) -> str | None:
        """Return the download instructions, or None."""
        if self.where(root) is not None:
            return None
        return (
            f"data set {self.name} is not here: download the four .gz files from {self.page} into "
            f"{root / self.places[0]}, or install Debian's package dataset-fashion-mnist"
        )

    def _read(self, folder: Path) -> Data:
        from torchvision.datasets import FashionMNIST

        return self.in_memory(FashionMNIST.classes, [self._split(folder, name) for name in _SPLITS])

    def _split(self, folder: Path, name: str) -> tuple[Tensor, Tensor]:
        from torchvision.datasets.mnist import read_image_file, read_label_file

        paths = [_file(folder / f"{name}-{kind}") for kind in _KINDS]
        images, targets = map(self._tensor, paths, (read_image_file, read_label_file))
        if images.shape != (len(targets), 28, 28):
            problem = f"has shape {tuple(images.shape)} for {len(targets):,} labels"
            raise self.damage_error(f"{problem}: published are 28x28 pixels", paths[0])
        return images[:, None], targets

    def _tensor(self, path: Path, reader: Callable[[str], Tensor]) -> Tensor:
        try:
            if path.suffix != ".gz":
                return reader(str(path))
            with tempfile.TemporaryDirectory() as folder:
                plain = Path(folder) / path.stem
                with gzip.open(path) as packed, plain.open("wb") as file:
                    shutil.copyfileobj(packed, file)
                return reader(str(plain))
        except Exception as error:  # the reader raises many kinds on damaged files
            raise self.damage_error(f"cannot be read: {describe(error)}", path) from error

    def _holds(self, folder: Path) -> bool:
        names = [f"{split}-{kind}" for split in _SPLITS for kind in _KINDS]
        return all(_file(folder / name).is_file() for name in names)


def _file(path: Path) -> Path:
    """Return the path of a file, or of its gzipped form if only that exists."""
    return path if path.is_file() else path.with_name(f"{path.name}.gz")
