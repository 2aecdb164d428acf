"""A user's own images: ``PATH/train/CLASS/IMAGE`` and ``PATH/test/CLASS/IMAGE``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from attnbench.datasets.dataset import Data
from attnbench.datasets.list_class_folders import folders
from attnbench.datasets.train_test_folders import Files, check_classes, digest, samples, split_files
from attnbench.errors import RequestError

_TESTS = ("test", "val")
_LAYOUT = "expected are train/CLASS/IMAGE and test/CLASS/IMAGE (or val/CLASS/IMAGE)"


@dataclass(frozen=True)
class Folder:
    """A data set in the layout of torchvision's ``ImageFolder``, one folder per split.

    Classes are the folders in ``train``, sorted. Test images are those in ``test``, or in ``val``
    if there is no ``test`` with class folders.

    Args:
        path: the folder as given.
        folder: the same as an absolute path, independent of the working directory.
    """

    path: str
    folder: Path

    title: ClassVar[str] = "Your own images: PATH/train/CLASS/IMAGE, PATH/test/CLASS/IMAGE"
    page: ClassVar[str | None] = None
    terms: ClassVar[str | None] = None
    classes: ClassVar[int | None] = None
    counts: ClassVar[tuple[int, int] | None] = None
    synthetic: ClassVar[bool] = False

    @classmethod
    def given(cls, path: str) -> Folder:
        """Return the data set in a folder.

        Raises:
            RequestError: the path is empty.
        """
        if not path.strip():
            raise RequestError("data set 'folder:' names no folder; write folder:PATH")
        shown = Path(path)
        return cls(str(shown), shown.expanduser().absolute())

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
        if not folders(self.folder / "train"):
            return (
                f"data set {self.name}: {self.folder} has no train/ with class folders; {_LAYOUT}"
            )
        if self._test() is None:
            return (
                f"data set {self.name}: {self.folder} has no test/ or val/ with class folders; "
                f"{_LAYOUT}"
            )
        return None

    def identity(self, root: Path) -> str:
        """Return the number of files and a hash of their names and sizes, without the path.

        Raises:
            RequestError: the folder does not exist.
        """
        splits = self._splits()
        count = sum(len(files) for split in splits.values() for files in split.values())
        return f"folder/1,{count} files,{digest(splits)}"

    def load(self, root: Path) -> Data:
        """Return both splits; images keep their sizes.

        Raises:
            RequestError: a class without images, a single class, or many unreadable files.
        """
        splits = self._splits()
        (first, train_files), (second, test_files) = splits.items()
        check_classes(self.folder / first, train_files, self.folder / second, test_files)
        train, test = (
            samples(f"data set {self.name}", self.folder, split, files)
            for split, files in splits.items()
        )
        return Data(self.name, train, test)

    def _splits(self) -> dict[str, Files]:
        missing = self.missing(self.folder)
        if missing is not None:
            raise RequestError(missing)
        names = ("train", self._test() or "")
        return {name: split_files(self.folder / name) for name in names}

    def _test(self) -> str | None:
        return next((name for name in _TESTS if folders(self.folder / name)), None)
