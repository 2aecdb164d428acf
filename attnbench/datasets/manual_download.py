"""What the data sets share that users download by themselves. Imports no torch."""

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
    """What to download from the page."""
    places: ClassVar[tuple[str, ...]]
    """Folders that may hold it, below the root; the first is named where it is missing."""
    needed: ClassVar[tuple[str, ...]]
    """Files and folders that must be in there."""

    def where(self, root: Path) -> Path | None:
        """Return the first folder with all that is needed, or None."""
        return next((root / place for place in self.places if self._holds(root / place)), None)

    def missing(self, root: Path) -> str | None:
        """Return what to download, from which page and where to put it; None if it is here."""
        if self.where(root) is not None:
            return None
        return (
            f"data set {self.name} is not here: download {self.archives} from {self.page} and "
            f"unpack to {shown_home(root / self.places[0])}, so that it holds "
            f"{', '.join(self.needed)}"
        )

    def identity(self, root: Path) -> str:
        """Return the name and the version of how it is read."""
        return f"{self.name}/1"

    def found(self, root: Path) -> Path:
        """Return the folder that holds it.

        Raises:
            RequestError: it is not here.
        """
        folder = self.where(root)
        if folder is None:
            raise RequestError(self.missing(root) or "")
        return folder

    def check(self, train: int, test: int) -> None:
        """Refuse a copy that has more or fewer images than were published.

        Raises:
            RequestError: naming both counts.
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
