"""The base class of data sets that users download manually. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from attnbench.datasets.dataset import shown_home
from attnbench.errors import RequestError


class ManualDownload:
    """A data set in a folder of its own below the folder of all data sets."""

    name: ClassVar[str]
    title: ClassVar[str]
    page: ClassVar[str]
    terms: ClassVar[str]
    classes: ClassVar[int]
    counts: ClassVar[tuple[int, int]]
    synthetic: ClassVar[bool] = False
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
            f"unpack to {shown_home(root / self.places[0])}, so that it holds "
            f"{', '.join(self.needed)}"
        )

    def identity(self, root: Path) -> str:
        """Return the name and the version of the reading rule."""
        return f"{self.name}/1"

    def found(self, root: Path) -> Path:
        """Return the folder of the data set.

        Raises:
            RequestError: the data set is absent.
        """
        folder = self.where(root)
        if folder is None:
            raise RequestError(self.missing(root) or "")
        return folder

    def check(self, train: int, test: int) -> None:
        """Refuse a copy whose numbers of images differ from the published ones.

        Raises:
            RequestError: the error gives both numbers.
        """
        pairs = zip(("training", "test"), self.counts, (train, test), strict=True)
        for split, published, count in pairs:
            if count != published:
                raise RequestError(
                    f"data set {self.name} has {count:,} {split} images here, published are "
                    f"{published:,}; download it again from {self.page}"
                )

    def _holds(self, folder: Path) -> bool:
        return all((folder / name).exists() for name in self.needed)
