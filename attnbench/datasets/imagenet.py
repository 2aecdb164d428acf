"""ImageNet's classification task of 2012 (Russakovsky et al., IJCV 2015): 1,000 classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from attnbench.datasets.dataset import Data
from attnbench.datasets.list_class_folders import folders
from attnbench.datasets.manual_download import ManualDownload
from attnbench.datasets.train_test_folders import check_classes, samples, split_files

_FIRST = "ILSVRC2012_val_00000001.JPEG"
_FLAT = ("val", "ILSVRC2012_img_val", ".")
"""Folders that may hold the validation images if they were unpacked by hand."""


@dataclass(frozen=True)
class ImageNet(ManualDownload):
    """The training images, tested on the validation images: the test images have no labels.

    The layout is that of torchvision: ``train/WNID/*.JPEG`` and ``val/WNID/*.JPEG``. A subset is
    accepted as well; ``Data.notes`` then lists its numbers of classes and images.
    """

    name = "imagenet"
    title = "ImageNet 2012 (Russakovsky et al., IJCV'15), tested on its validation images"
    page = "https://image-net.org/download.php"
    terms = "non-commercial research and education, after registration"
    classes = 1000
    counts = (1_281_167, 50_000)
    archives = "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar"
    places = ("imagenet",)
    needed = ("train/WNID/*.JPEG", "val/WNID/*.JPEG")

    def missing(self, root: Path) -> str | None:
        """Return the instructions to download, or to sort the validation images, or None."""
        folder = root / self.places[0]
        flat = next((name for name in _FLAT if (folder / name / _FIRST).is_file()), None)
        if flat is None or folders(folder / "val"):
            return super().missing(root)
        return (
            f"data set {self.name}: the images in {folder / flat} are not in folders; move each to "
            f"{folder}/val/WNID/, or let torchvision.datasets.ImageNet(root, 'val') unpack them "
            f"(needs ILSVRC2012_devkit_t12.tar.gz of {self.page})"
        )

    def identity(self, root: Path) -> str:
        """Return the name, the version and, for a subset, the number of classes."""
        found = len(folders(root / self.places[0] / "train"))
        subset = "" if found in {0, self.classes} else f",{found} classes"
        return super().identity(root) + subset

    def load(self, root: Path) -> Data:
        """Return both splits; images keep their sizes.

        Raises:
            RequestError: a class without images, or many unreadable files.
        """
        folder = self.found(root)
        files = {split: split_files(folder / split) for split in ("train", "val")}
        check_classes(folder / "train", files["train"], folder / "val", files["val"])
        train, test = (
            samples(f"data set {self.name}", folder, split, found) for split, found in files.items()
        )
        counts = tuple(sum(map(len, found.values())) for found in files.values())
        return Data(self.name, train, test, notes=self._notes((len(train.classes), *counts)))

    def _notes(self, found: tuple[int, ...]) -> tuple[str, ...]:
        published = (self.classes, *self.counts)
        if found == published:
            return ()
        here, there = (
            "{:,} classes, {:,} training and {:,} validation images".format(*counts)
            for counts in (found, published)
        )
        return (f"{here}; published are {there}",)

    def _holds(self, folder: Path) -> bool:
        return bool(folders(folder / "train") and folders(folder / "val"))
