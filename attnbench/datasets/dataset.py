"""The interface of a data set, its folder and its loaded form. Imports no torch."""

# constants take the place of properties
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# pyright: reportAssignmentType=false

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from attnbench.errors import RequestError

if TYPE_CHECKING:
    from torch import Tensor


LEFT_OUT = "left out"
"""Part of the note that counts and names the files of a data set that are not used."""


@dataclass(frozen=True)
class LabeledImages:
    """One split, in a fixed order."""

    targets: Tensor
    """Class indices, (N,), int64, below the number of classes."""
    classes: tuple[str, ...]
    image: Callable[[int], Tensor]
    """Function from an index to the decoded image: (C, H, W), uint8, of its own size, C = 1 or 3.

    Raises:
        RequestError: the file can no longer be read.
    """
    stacked: Tensor | None = None
    """All images, (N, C, H, W), uint8, if they have the same size and are in memory."""
    unreadable: tuple[str, ...] = ()
    """Images excluded because they cannot be decoded, as paths relative to the data set."""

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Data:
    """A loaded data set."""

    name: str
    """Canonical spec: ``digits``, ``folder:PATH``."""
    train: LabeledImages
    test: LabeledImages
    synthetic: bool = False
    """Flag of computed images, whose accuracies are meaningless."""
    notes: tuple[str, ...] = ()
    """Notes for the reader of an accuracy: a subset, a split that was made, files left out."""

    @property
    def summary(self) -> str:
        """The numbers of classes and images: ``2 classes (a, b), 8 training and 2 test images``."""
        classes = self.train.classes
        named = ", ".join([*classes[:3], *(["..."] if len(classes) > 3 else [])])
        images = f"{len(self.train):,} training and {len(self.test):,} test images"
        return f"{len(classes):,} classes ({named}), {images}"


class Dataset(ABC):
    """A registered data set, hashable by its spec. Its module imports torch only to load it."""

    title: ClassVar[str]
    page: ClassVar[str | None] = None
    """Address of the download page; None if nothing is to be downloaded."""
    terms: ClassVar[str | None] = None
    """The authors' terms of use, in a few words; None for the user's own data."""
    synthetic: ClassVar[bool] = False

    @property
    @abstractmethod
    def name(self) -> str:
        """The canonical spec."""

    @property
    def classes(self) -> int | None:
        """The number of classes; None before loading if only the files determine it."""
        return None

    @property
    def counts(self) -> tuple[int, int] | None:
        """The published numbers of training and test images; None if the files determine them."""
        return None

    def class_count(self, root: Path) -> int | None:
        """Return the number of classes here; None if it is known only after loading.

        Args:
            root: the folder of all data sets.
        """
        return self.classes

    def where(self, root: Path) -> Path | None:
        """Return the folder of the data set; None if absent or not needed."""
        return None

    def missing(self, root: Path) -> str | None:
        """Return the download instructions: files, page and target folder; None if present.

        Args:
            root: the folder of all data sets, see :func:`data_root`.
        """
        return None

    @abstractmethod
    def load(self, root: Path) -> Data:
        """Return both splits.

        Raises:
            RequestError: files are absent or damaged, or differ from the published ones.
        """

    def identity(self, root: Path) -> str:
        """Return the part of a record's hash for the data: its name and the version of its reader.

        Raises:
            RequestError: it depends on files that are absent.
        """
        return f"{self.name}/1"


@dataclass(frozen=True)
class PublishedDataset(Dataset):
    """A data set that users download, in a folder of its own below the folder of all data sets."""

    page: ClassVar[str]
    classes: ClassVar[int]
    counts: ClassVar[tuple[int, int]]
    tested: ClassVar[str] = "test"
    """The published name of the test images."""
    archives: ClassVar[str]
    """Archives to download from the page."""
    places: ClassVar[tuple[str, ...]]
    """Candidate folders below the root; the first one is suggested if the data set is absent."""
    needed: ClassVar[tuple[str, ...]]
    """Files and folders that the folder must contain."""

    def where(self, root: Path) -> Path | None:
        """Return the first folder that contains all needed files, or None."""
        return next((root / place for place in self.places if self._holds(root / place)), None)

    def missing(self, root: Path) -> str | None:
        """Return the download instructions: files, page and target folder; None if present."""
        if self.where(root) is not None:
            return None
        return (
            f"data set {self.name} is not here: download {self.archives} from {self.page} and "
            f"unpack to {_shown_home(root / self.places[0])}, so that it holds "
            f"{', '.join(self.needed)}"
        )

    def load(self, root: Path) -> Data:
        """Return both splits; image files keep their sizes."""
        folder = self.where(root)
        if folder is None:
            raise RequestError(self.missing(root) or "")
        return self._read(folder)

    def classes_here(self, folder: Path) -> Sequence[str] | None:
        """Return the classes in a folder; None for a data set that is complete or refused."""
        return None

    def class_count(self, root: Path) -> int | None:
        """Return the number of published classes; None for a subset, which has to be loaded."""
        return None if self._subset(root) else self.classes

    def identity(self, root: Path) -> str:
        """Return the name, the version and, for a subset, its classes."""
        names = self._subset(root)
        if not names:
            return super().identity(root)
        found = hashlib.sha256(os.fsencode("\0".join(names))).hexdigest()[:16]
        return f"{super().identity(root)},{len(names)} classes,{found}"

    def _subset(self, root: Path) -> Sequence[str]:
        folder = self.where(root)
        names = self.classes_here(folder) if folder else None
        return () if names is None or len(names) == self.classes else names

    @abstractmethod
    def _read(self, folder: Path) -> Data:
        """Return both splits from the folder of the data set."""

    def in_memory(self, classes: Sequence[str], splits: Sequence[tuple[Tensor, Tensor]]) -> Data:
        """Return the data set of images, (N, C, H, W), and labels, (N,), for training and testing.

        Raises:
            RequestError: numbers of classes or images, or labels, differ from the published ones.
        """
        self.check(len(classes), *(len(targets) for _, targets in splits))
        highest = max(int(targets.max()) for _, targets in splits)
        if highest >= self.classes:
            raise self.damage_error(f"has label {highest}: published are 0 to {self.classes - 1}")
        train, test = (in_memory(*split, tuple(classes)) for split in splits)
        return Data(self.name, train, test)

    def check(self, *counts: int) -> None:
        """Refuse a copy with other numbers of classes, training and test images than published.

        Raises:
            RequestError: the error gives both numbers.
        """
        kinds = ("classes", "training images", "test images")
        for kind, count, published in zip(kinds, counts, (self.classes, *self.counts), strict=True):
            if count != published:
                raise self.damage_error(f"has {count:,} {kind}: published are {published:,}")

    def with_counts(self, data: Data, *counts: int) -> Data:
        """Return the data with a note of its numbers if they differ from the published ones."""
        published = (self.classes, *self.counts)
        if counts == published:
            return data
        text = f"{{:,}} classes, {{:,}} training and {{:,}} {self.tested} images"
        note = f"{text.format(*counts)}; published are {text.format(*published)}"
        return replace(data, notes=(note, *data.notes))

    def damage_error(self, problem: str, subject: Path | str = "") -> RequestError:
        """Return the error of a copy, or a file of it, that differs from the published one."""
        return RequestError(
            f"{subject or f'data set {self.name}'} {problem}. Download it again from {self.page}"
        )

    def _holds(self, folder: Path) -> bool:
        return all((folder / name).exists() for name in self.needed)


def data_root() -> Path:
    """Return the folder of the data sets: ``$ATTNBENCH_DATA``, else ``~/.cache/attnbench/data``."""
    return Path(os.environ.get("ATTNBENCH_DATA") or "~/.cache/attnbench/data").expanduser()


def in_memory(images: Tensor, targets: Tensor, classes: tuple[str, ...]) -> LabeledImages:
    """Return a split whose images, (N, C, H, W) and uint8, are in memory."""
    return LabeledImages(targets.long(), classes, images.__getitem__, images)


def _shown_home(path: Path) -> str:
    """Return a path in the form stored in records: ``~`` for the user's home."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)
