"""Data sets with one folder of image files per class: ImageNet, and a user's own.

torchvision's ``ImageFolder`` is not used: the listing of data sets needs names and sizes of files
without torch, and it would follow circular links, include hidden files and skip unreadable folders.
"""

# constants take the place of properties
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# pyright: reportAssignmentType=false

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from attnbench.datasets.dataset import Data, Dataset, PublishedDataset
from attnbench.datasets.image_files import from_files, printable
from attnbench.errors import RequestError

_LAYOUT = "expected are train/CLASS/IMAGE and test/CLASS/IMAGE (or val/CLASS/IMAGE)"
_FIRST = "ILSVRC2012_val_00000001.JPEG"
_FLAT = ("val", "ILSVRC2012_img_val", ".")
"""Folders that may hold ImageNet's validation images if they were unpacked by hand."""
_ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""Name endings of image files, as in torchvision's ``IMG_EXTENSIONS``."""
_Splits = Mapping[str, Mapping[str, list[tuple[str, int]]]]
"""Folder of a split -> class -> files, as paths relative to the class folder, with sizes."""


@dataclass(frozen=True)
class Folder(Dataset):
    """A user's own images in the layout of torchvision's ``ImageFolder``, one folder per split.

    Classes are the folders in ``train``, sorted. Test images are those in ``test``, or in ``val``
    if there is no ``test`` with class folders.

    Args:
        path: the folder as given.
        folder: the same as an absolute path, independent of the working directory.
    """

    path: str
    folder: Path

    title = "Your own images: PATH/train/CLASS/IMAGE, PATH/test/CLASS/IMAGE"

    @property
    def name(self) -> str:
        """``folder:PATH``, with the path as given."""
        return f"folder:{self.path}"

    def where(self, root: Path) -> Path | None:
        """Return the folder, or None if it does not exist."""
        return self.folder if self.folder.is_dir() else None

    def missing(self, root: Path) -> str | None:
        """Return the absent folder and the expected layout, or None."""
        if not self.folder.is_dir():
            return f"data set {self.name}: there is no folder {self.folder}; {_LAYOUT} in it"
        if not class_names(self.folder / "train"):
            absent = "train/"
        elif self._test() is None:
            absent = "test/ or val/"
        else:
            return None
        return f"data set {self.name}: {self.folder} has no {absent} with class folders; {_LAYOUT}"

    def identity(self, root: Path) -> str:
        """Return the number of files and a hash of their names and sizes, without the path.

        Raises:
            RequestError: the folder does not exist.
        """
        listed = [
            f"{split}/{label}/{file}\0{size}\0"  # no name has a zero byte
            for split, classes in self._splits().items()
            for label, files in classes.items()
            for file, size in files
        ]
        found = hashlib.sha256(os.fsencode("".join(listed)))
        return f"folder/1,{len(listed)} files,{found.hexdigest()}"

    def load(self, root: Path) -> Data:
        """Return both splits; images keep their sizes.

        Raises:
            RequestError: a class without images, a single class, or many unreadable files.
        """
        return _load(self.name, self.folder, self._splits())

    def _splits(self) -> _Splits:
        missing = self.missing(self.folder)
        if missing is not None:
            raise RequestError(missing)
        return _list_splits(self.folder, "train", self._test() or "")

    def _test(self) -> str | None:
        return next((name for name in ("test", "val") if class_names(self.folder / name)), None)


class ImageNet(PublishedDataset):
    """ImageNet's classification task of 2012 (Russakovsky et al., IJCV 2015): 1,000 classes.

    The test images are those for validation, as the others have no labels. The layout is that of
    torchvision: ``train/WNID/*.JPEG`` and ``val/WNID/*.JPEG``. torchvision's class is not used, as
    it needs the archive of the development kit and all 1,000 classes. Here a subset is accepted;
    ``Data.notes`` then lists its numbers of classes and images.
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
        if flat is None or class_names(folder / "val"):
            return super().missing(root)
        return (
            f"data set {self.name}: the images in {folder / flat} are not in folders; move each to "
            f"{folder}/val/WNID/, or let torchvision.datasets.ImageNet(root, 'val') unpack them "
            f"(needs ILSVRC2012_devkit_t12.tar.gz of {self.page})"
        )

    def identity(self, root: Path) -> str:
        """Return the name, the version and, for a subset, the number of classes."""
        found = len(class_names(root / self.places[0] / "train"))
        subset = "" if found in {0, self.classes} else f",{found} classes"
        return super().identity(root) + subset

    def _read(self, folder: Path) -> Data:
        found = _load(self.name, folder, _list_splits(folder, "train", "val"))
        images = (len(split) + len(split.unreadable) for split in (found.train, found.test))
        here, published = (len(found.train.classes), *images), (self.classes, *self.counts)
        if here == published:
            return found
        text = "{:,} classes, {:,} training and {:,} validation images"
        note = f"{text.format(*here)}; published are {text.format(*published)}"
        return replace(found, notes=(note,))

    def _holds(self, folder: Path) -> bool:
        return bool(class_names(folder / "train") and class_names(folder / "val"))


def class_names(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, sorted; none where it cannot be read.

    Hidden folders are excluded, links to folders are included.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(item.name for item in entries if item.is_dir() and item.name[0] != ".")
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


@cache
def endings() -> tuple[str, ...]:
    """Return the name endings of image files, in lower case."""
    from PIL import features

    return (*_ENDINGS, ".avif") if "avif" in features.get_supported_modules() else _ENDINGS


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


def _list_splits(folder: Path, *splits: str) -> _Splits:
    return {
        split: {name: image_files(folder / split / name) for name in class_names(folder / split)}
        for split in splits
    }


def _load(name: str, folder: Path, splits: _Splits) -> Data:
    _check_classes(folder, splits)
    train, test = (
        from_files(
            f"data set {name}, {split}",
            folder,
            [
                (f"{split}/{label}/{file}", number)
                for number, (label, files) in enumerate(classes.items())
                for file, _ in files
            ],
            tuple(map(printable, classes)),
        )
        for split, classes in splits.items()
    )
    return Data(name, train, test)


def _check_classes(folder: Path, splits: _Splits) -> None:
    train, test = (folder / split for split in splits)
    known, tested = splits.values()
    if len(known) < 2:
        raise RequestError(
            f"{train} has too few class folders: got {len(known)}. Training needs at least 2."
        )
    if unknown := sorted(tested.keys() - known.keys()):
        raise RequestError(
            f"{test} has class {printable(unknown[0])!r}, which {train} does not have. "
            "Add images of it there, or remove the folder."
        )
    for split, classes in splits.items():
        if empty := [name for name in known if not classes.get(name)]:
            raise RequestError(
                f"class {printable(empty[0])!r} has no images in {folder / split}. "
                "Add some, or remove the class from both splits."
            )
