"""Two splits of image files in one folder per class."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from attnbench.datasets.dataset import LabeledImages
from attnbench.datasets.image_split import from_files, printable
from attnbench.datasets.list_class_folders import folders, image_files
from attnbench.errors import RequestError

Files = Mapping[str, list[tuple[str, int]]]
"""Mapping of each class to its files, as paths relative to the class folder, with sizes."""


def split_files(folder: Path) -> Files:
    """Return the files of one split.

    Raises:
        RequestError: a folder cannot be read.
    """
    return {name: image_files(folder / name) for name in folders(folder)}


def check_classes(train: Path, train_files: Files, test: Path, test_files: Files) -> None:
    """Refuse classes that cannot be learned or cannot be tested.

    Raises:
        RequestError: the error names the class.
    """
    if len(train_files) < 2:
        raise RequestError(
            f"{train} has {len(train_files)} class folder{'s'[len(train_files) == 1 :]}; a network "
            "needs at least 2 classes to tell apart"
        )
    unknown = sorted(test_files.keys() - train_files.keys())
    if unknown:
        raise RequestError(
            f"{test} has class {printable(unknown[0])!r}, which {train} does not have; "
            "add images of it there, or remove the folder"
        )
    for folder, files in ((train, train_files), (test, test_files)):
        empty = next((name for name in train_files if not files.get(name)), None)
        if empty is not None:
            raise RequestError(
                f"class {printable(empty)!r} has no images in {folder}; "
                "add some, or remove the class from both splits"
            )


def samples(title: str, folder: Path, split: str, files: Files) -> LabeledImages:
    """Return one split.

    Args:
        title: the name of the data set in errors.
        folder: the folder of the data set.
        split: the folder of the split within it.
        files: all classes, in order.

    Raises:
        RequestError: many files are unreadable.
    """
    listed = [
        (f"{split}/{name}/{file}", number)
        for number, name in enumerate(files)
        for file, _ in files[name]
    ]
    return from_files(f"{title}, {split}", folder, listed, tuple(map(printable, files)))


def digest(splits: Mapping[str, Files]) -> str:
    """Return a SHA-256 over the names and sizes of all files."""
    found = hashlib.sha256()
    for split, files in splits.items():
        for name, sized in files.items():
            for file, size in sized:
                # no name has a zero byte, so that the encoding is unambiguous
                found.update(os.fsencode(f"{split}/{name}/{file}\0{size}\0"))
    return found.hexdigest()
