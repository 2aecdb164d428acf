"""Data sets whose splits are published as lists of image files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

from attnbench.datasets.dataset import Data
from attnbench.datasets.image_split import from_files
from attnbench.datasets.manual_download import ManualDownload
from attnbench.errors import RequestError


class FileListDataset(ManualDownload):
    """A data set with lists of files; the parent folder of a file is its class."""

    images = "images"
    """Folder that the listed paths are relative to."""

    @abstractmethod
    def lists(self, folder: Path) -> tuple[list[str], list[str]]:
        """Return the files for training and for testing, ``CLASS/IMAGE.jpg``.

        Raises:
            RequestError: the lists are damaged.
        """

    def load(self, root: Path) -> Data:
        """Return both splits; images keep their sizes.

        Raises:
            RequestError: the lists are damaged, files are absent or many of them unreadable.
        """
        folder = self.found(root)
        lists = self.lists(folder)
        train, test = (_present(folder / self.images, files) for files in lists)
        self.check(len(train), len(test))
        classes = tuple(sorted({_class(file) for files in lists for file in files}))
        if len(classes) != self.classes:
            raise RequestError(
                f"data set {self.name} has {len(classes)} classes here, published are "
                f"{self.classes}; download it again from {self.page}"
            )
        numbers = {name: number for number, name in enumerate(classes)}
        train_split, test_split = (
            from_files(
                f"data set {self.name}, {split}",
                folder,
                [(f"{self.images}/{file}", numbers[_class(file)]) for file in files],
                classes,
            )
            for split, files in (("training", train), ("test", test))
        )
        return Data(self.name, train_split, test_split)


def read_lines(path: Path) -> list[str]:
    """Return the non-empty lines of a text file.

    Raises:
        RequestError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} cannot be read: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _present(folder: Path, files: Sequence[str]) -> list[str]:
    return [file for file in files if (folder / file).is_file()]


def _class(file: str) -> str:
    return file.rpartition("/")[0]
