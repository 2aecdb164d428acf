"""Data sets with one folder of image files per class: ImageNet, and a user's own."""

# constants take the place of properties
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# pyright: reportAssignmentType=false

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from attnbench.datasets.dataset import Data, Dataset, PublishedDataset
from attnbench.datasets.image_files import file_data, from_files, printable, some
from attnbench.datasets.image_tree import (
    FileListing,
    Files,
    ImageTree,
    class_names,
    entries,
    is_folder,
)
from attnbench.datasets.label_file import read_labels
from attnbench.datasets.random_split import NOTE, random_split
from attnbench.datasets.split_layout import EXPECTED, find_layout
from attnbench.errors import RequestError

_FIRST = "ILSVRC2012_val_00000001.JPEG"
_FLAT = ("val", "ILSVRC2012_img_val", ".")
"""Folders that may hold ImageNet's validation images if they were unpacked by hand."""


@dataclass(frozen=True)
class Folder(Dataset):
    """A user's own images, one folder per class; the split and the labels may be missing.

    Classes are the folders in ``train``, sorted, and test images those in ``val``: the other names
    of splits are those of :mod:`attnbench.datasets.split_layout`. Without class folders for
    testing, :func:`~attnbench.datasets.random_split.random_split` makes a split.

    Args:
        path: the folder as given.
        folder: the same as an absolute path, independent of the working directory.
        labels: a table of files and labels as given, instead of class folders.
        table: the same as an absolute path.
    """

    path: str
    folder: Path
    labels: str | None = None
    table: Path | None = None

    title = "Your own images: PATH/train/CLASS/IMAGE, PATH/val/CLASS/IMAGE"

    @property
    def name(self) -> str:
        """``folder:PATH``, with the path as given; ``folder:PATH,labels=FILE``."""
        return f"folder:{self.path}" + (f",labels={self.labels}" if self.labels else "")

    def where(self, root: Path) -> Path | None:
        """Return the folder, or None if it does not exist."""
        return self.folder if self.folder.is_dir() else None

    def missing(self, root: Path) -> str | None:
        """Return the absent folder and the expected layout, or None."""
        if not self.folder.is_dir():
            return f"data set {self.name}: there is no folder {self.folder}; {EXPECTED} in it"
        try:
            if self.table is None:
                find_layout(self.folder)
        except RequestError as error:
            return f"data set {self.name}: {error}"
        return None

    def identity(self, root: Path) -> str:
        """Return the number of files and a hash of their names and sizes, without the path.

        Raises:
            RequestError: the folder does not exist.
        """
        listed = list(self._listing())
        found = hashlib.sha256(os.fsencode("".join(listed)))
        return f"folder/1,{len(listed)} files,{found.hexdigest()}"

    def load(self, root: Path) -> Data:
        """Return both splits; images keep their sizes.

        Raises:
            RequestError: a class without images, a single class, or many unreadable files.
        """
        return _load(self.name, self.folder, self._listing())

    def _listing(self) -> FileListing:
        missing = self.missing(self.folder)
        if missing is not None:
            raise RequestError(missing)
        if self.table is not None:
            found = read_labels(self.table, self.folder)
        else:
            layout = find_layout(self.folder)
            folders = [split for split in (layout.train, layout.test) if split is not None]
            found = _list_folders(self.folder, folders, layout.notes)
        if len(found.splits) == 2:
            return found
        ((below, classes),) = found.splits.items()
        drawn = random_split(classes, f"{below}/" if below else "")
        return replace(found, splits=drawn, notes=(*found.notes, NOTE), by_path=False)


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
    tested = "validation"
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

    def classes_here(self, folder: Path) -> list[str]:
        """Return the names of the class folders for training that are not empty, sorted."""
        train = folder / "train"
        return [name for name in class_names(train) if entries(train / name)]

    def _read(self, folder: Path) -> Data:
        found = _load(self.name, folder, _list_folders(folder, ("train", "val")))
        images = (len(split) + len(split.unreadable) for split in (found.train, found.test))
        return self.with_counts(found, len(found.train.classes), *images)

    def _holds(self, folder: Path) -> bool:
        return bool(class_names(folder / "train") and class_names(folder / "val"))


def _list_folders(folder: Path, splits: Sequence[str], notes: Sequence[str] = ()) -> FileListing:
    """Return the files in the class folders of each split; a class without any is left out."""
    below = {split: f"{split}/" if split else "" for split in splits}
    classes = {split: class_names(folder / split) for split in splits}
    tree = ImageTree(
        folder, [f"{below[split]}{label}" for split in splits for label in classes[split]]
    )
    listed = {
        split: {label: tree.files(f"{below[split]}{label}/") for label in classes[split]}
        for split in splits
    }
    loose = [
        f"{below[split]}{entry.name}"
        for split in splits
        for entry in entries(folder / split)
        if not is_folder(entry)
    ]
    filled = {label for labels in listed.values() for label, files in labels.items() if files}
    empty = sorted({*itertools.chain(*classes.values())} - filled)
    kept = {
        split: {label: files for label, files in labels.items() if label in filled}
        for split, labels in listed.items()
    }
    named = [f"{len(empty):,} empty class folders: {some(map(printable, empty))}"] if empty else []
    return FileListing(kept, (*notes, *named), {**tree.left_out, "in no class folder": loose})


def _load(name: str, folder: Path, listing: FileListing) -> Data:
    _check_classes(folder, listing.splits)
    splits = [
        from_files(
            f"data set {name}, {split}",
            folder,
            [(file, number) for number, files in enumerate(classes.values()) for file, _ in files],
            tuple(map(printable, classes)),
        )
        for split, classes in listing.splits.items()
    ]
    return file_data(name, splits, listing.notes, listing.left_out)


def _check_classes(folder: Path, splits: Mapping[str, Mapping[str, Files]]) -> None:
    train, test = (folder / split for split in splits)
    known, tested = splits.values()
    if len(known) < 2:
        raise RequestError(
            f"{train} has too few class folders with images: got {len(known)}. Training needs at "
            "least 2."
        )
    if unknown := sorted(tested.keys() - known.keys()):
        raise RequestError(
            f"{test} has {_named_classes(unknown)}, which {train} does not have. "
            "Add images there, or remove them."
        )
    for split, classes in splits.items():
        if empty := [name for name in known if not classes.get(name)]:
            raise RequestError(
                f"{_named_classes(empty)} has no images in {folder / split}. "
                "Add some, or remove the class from both splits."
            )


def _named_classes(names: Sequence[str]) -> str:
    first = f"class {printable(names[0])!r}"
    return f"{first} and {len(names) - 1:,} more" if names[1:] else first
