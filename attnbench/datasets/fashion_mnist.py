"""Fashion-MNIST: 70,000 grey images of clothing, 28x28, ten classes (Xiao, Rasul and Vollgraf)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from attnbench.datasets.dataset import Data, LabeledImages, in_memory
from attnbench.datasets.idx_format import read_idx
from attnbench.datasets.manual_download import ManualDownload
from attnbench.errors import RequestError

_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_SYSTEM = Path("/usr/share/datasets/fashion-mnist")
"""Folder of Debian's package dataset-fashion-mnist."""
_SPLITS = ("train", "t10k")


@dataclass(frozen=True)
class FashionMnist(ManualDownload):
    """The published split, from torchvision's folder, a separate one or Debian's package."""

    name = "fashion-mnist"
    title = "Fashion-MNIST (Xiao et al., 2017), grey 28x28"
    page = "https://github.com/zalandoresearch/fashion-mnist"
    terms = "MIT"
    classes = 10
    counts = (60_000, 10_000)
    places = ("fashion-mnist", "FashionMNIST/raw", str(_SYSTEM))

    def missing(self, root: Path) -> str | None:
        """Return the download instructions, or None."""
        if self.where(root) is not None:
            return None
        return (
            f"data set {self.name} is not here: download the four .gz files from {self.page} into "
            f"{root / self.places[0]}, or install Debian's package dataset-fashion-mnist"
        )

    def load(self, root: Path) -> Data:
        """Return both splits, images of (1, 28, 28).

        Raises:
            RequestError: a file is damaged, or differs from the published one.
        """
        files = _files(self.found(root))
        train, test = (_split(*files[start : start + 2]) for start in (0, 2))
        self.check(len(train), len(test))
        return Data(self.name, train, test)

    def _holds(self, folder: Path) -> bool:
        return bool(_files(folder))


def _files(folder: Path) -> list[Path]:
    """Return the files of images and labels, training before test; empty if one is absent."""
    names = [
        f"{split}-{kind}-ubyte" for split in _SPLITS for kind in ("images-idx3", "labels-idx1")
    ]
    found = [_file(folder / name) for name in names]
    return [] if None in found else [path for path in found if path]


def _file(path: Path) -> Path | None:
    candidates = (path, path.with_name(f"{path.name}.gz"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _split(pictures: Path, labels: Path) -> LabeledImages:
    images, targets = read_idx(pictures, 3), read_idx(labels, 1)
    if len(images) != len(targets) or images.shape[1:] != (28, 28):
        raise RequestError(
            f"{pictures} holds {len(images):,} images of {images.shape[1]}x{images.shape[2]} "
            f"for {len(targets):,} labels; expected 28x28, one label each"
        )
    if len(targets) and int(targets.max()) >= len(_CLASSES):
        raise RequestError(f"{labels} has label {int(targets.max())}; labels are 0 to 9")
    return in_memory(images[:, None], targets, _CLASSES)
