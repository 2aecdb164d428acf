"""The interface of a data set, its folder and its loaded form. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

VARIABLE = "ATTNBENCH_DATA"
"""Environment variable that names the folder of the data sets."""


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
    """Notes for the reader of an accuracy: that the local copy is a subset."""


@runtime_checkable
class Dataset(Protocol):
    """The interface of registered data sets. Reading one imports neither torch nor its reader."""

    def __hash__(self) -> int:
        """Return the same value for the same spec: the cache of loaded data sets uses it."""
        ...

    @property
    def name(self) -> str:
        """The canonical spec."""
        ...

    @property
    def title(self) -> str:
        """One-line title for a listing."""
        ...

    @property
    def page(self) -> str | None:
        """The address of the download page; None if nothing is to be downloaded."""
        ...

    @property
    def terms(self) -> str | None:
        """The authors' terms of use, in a few words; None for the user's own data."""
        ...

    @property
    def classes(self) -> int | None:
        """The number of classes; None before loading if only the files determine it."""
        ...

    @property
    def counts(self) -> tuple[int, int] | None:
        """The published numbers of training and test images; None if the files determine them."""
        ...

    @property
    def synthetic(self) -> bool:
        """The flag of computed images."""
        ...

    def where(self, root: Path) -> Path | None:
        """Return the folder of the data set; None if absent or not needed."""
        ...

    def missing(self, root: Path) -> str | None:
        """Return the download instructions: files, page and target folder; None if present.

        Args:
            root: the folder of all data sets, see :func:`data_root`.
        """
        ...

    def load(self, root: Path) -> Data:
        """Return both splits.

        Raises:
            RequestError: files are damaged, or differ from the published ones.
        """
        ...

    def identity(self, root: Path) -> str:
        """Return the part of a record's hash for the data: its name and its version.

        Raises:
            RequestError: it depends on files that are absent.
        """
        ...


def data_root() -> Path:
    """Return the folder of the data sets: ``$ATTNBENCH_DATA``, else ``~/.cache/attnbench/data``."""
    return Path(os.environ.get(VARIABLE) or "~/.cache/attnbench/data").expanduser()


def shown_home(path: Path) -> str:
    """Return a path in the form stored in records: ``~`` for the user's home."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)


def in_memory(images: Tensor, targets: Tensor, classes: tuple[str, ...]) -> LabeledImages:
    """Return a split whose images, (N, C, H, W) and uint8, are in memory."""
    return LabeledImages(targets.long(), classes, images.__getitem__, images)
