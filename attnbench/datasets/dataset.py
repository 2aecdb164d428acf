"""What a data set is, where it lies, and what it gives back. Imports no torch."""

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
    """(N,), int64, below the number of classes."""
    classes: tuple[str, ...]
    image: Callable[[int], Tensor]
    """The i-th image, decoded: (C, H, W), uint8, of its own size, C = 1 or 3.

    Raises:
        RequestError: its file cannot be read any more.
    """
    stacked: Tensor | None = None
    """All images, (N, C, H, W), uint8, where they have one size and are in memory already."""
    unreadable: tuple[str, ...] = ()
    """Images left out because they cannot be decoded, named relative to the data set."""

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Data:
    """A data set, loaded."""

    name: str
    """Its canonical spec: ``digits``, ``folder:PATH``."""
    train: LabeledImages
    test: LabeledImages
    synthetic: bool = False
    """Whether the pictures are computed, so that an accuracy on them says nothing."""
    notes: tuple[str, ...] = ()
    """What a reader of an accuracy must know: that the copy here is a subset."""


@runtime_checkable
class Dataset(Protocol):
    """What the registry hands out. Looking at one imports neither torch nor what reads it."""

    def __hash__(self) -> int:
        """Return the same for the same spec: what is loaded is kept by it."""
        ...

    @property
    def name(self) -> str:
        """The canonical spec."""
        ...

    @property
    def title(self) -> str:
        """One line for a listing."""
        ...

    @property
    def page(self) -> str | None:
        """The address to download from; None where nothing is to be downloaded."""
        ...

    @property
    def terms(self) -> str | None:
        """What its authors say about its use, in a few words; None where it is the user's own."""
        ...

    @property
    def classes(self) -> int | None:
        """How many classes; None before loading where only the files tell."""
        ...

    @property
    def counts(self) -> tuple[int, int] | None:
        """How many images for training and for testing, as published; None where files tell."""
        ...

    @property
    def synthetic(self) -> bool:
        """Whether the pictures are computed."""
        ...

    def where(self, root: Path) -> Path | None:
        """Return the folder that holds it; None where there is none, or none is needed."""
        ...

    def missing(self, root: Path) -> str | None:
        """Return what to download, from which page and where to put it; None if it is here.

        Args:
            root: the folder of all data sets, :func:`data_root`.
        """
        ...

    def load(self, root: Path) -> Data:
        """Return both splits.

        Raises:
            RequestError: files are damaged, or are not those that were published.
        """
        ...

    def identity(self, root: Path) -> str:
        """Return what a record's hash must cover: the name and the version of what is read.

        Raises:
            RequestError: it depends on files, and they are not here.
        """
        ...


def data_root() -> Path:
    """Return the folder of the data sets: ``$ATTNBENCH_DATA``, else ``~/.cache/attnbench/data``."""
    return Path(os.environ.get(VARIABLE) or "~/.cache/attnbench/data").expanduser()


def shown_home(path: Path) -> str:
    """Return a path as a record may keep it: ``~`` for the user's home."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)


def in_memory(images: Tensor, targets: Tensor, classes: tuple[str, ...]) -> LabeledImages:
    """Return a split whose images, (N, C, H, W) and uint8, are in memory."""
    return LabeledImages(targets.long(), classes, images.__getitem__, images)
