"""Handwritten digits embedded in scikit-learn: 1,797 grey images of 8x8, ten classes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from attnbench.datasets.dataset import Data, in_memory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CLASSES = tuple("0123456789")
_TEST = 36
"""Number of test images per class: a fifth of about 180."""
_SEED = 0
_DARKEST = 16
"""Largest value in the published images."""


@dataclass(frozen=True)
class Digits:
    """Handwritten digits: 1,437 images for training and 360 for testing, 36 of each class.

    The split is this suite's own, as none was published with the copy in scikit-learn: numpy's
    ``RandomState(0)`` permutes the images of each class in turn, and the first 36 are for testing.
    Values are scaled from 0..16 to 0..255.
    """

    name: ClassVar[str] = "digits"
    title: ClassVar[str] = "Handwritten digits, grey 8x8, embedded in scikit-learn"
    page: ClassVar[str | None] = None
    terms: ClassVar[str | None] = "CC BY 4.0 (UCI Machine Learning Repository)"
    classes: ClassVar[int | None] = 10
    counts: ClassVar[tuple[int, int] | None] = (1437, 360)
    synthetic: ClassVar[bool] = False

    def where(self, root: Path) -> Path | None:
        """Return None: no folder is needed."""
        return None

    def missing(self, root: Path) -> str | None:
        """Return the command that installs scikit-learn if it is absent, or None."""
        if find_spec("sklearn") is not None:
            return None
        return "data set digits comes with scikit-learn: pip install scikit-learn"

    def identity(self, root: Path) -> str:
        """Return the name and the version of the split."""
        return "digits/1"

    def load(self, root: Path) -> Data:
        """Return both splits, images of (1, 8, 8)."""
        import torch
        from sklearn.datasets import load_digits

        embedded: Any = load_digits(return_X_y=True)
        values, labels = embedded
        images = torch.from_numpy(values).mul(255 / _DARKEST).round().to(torch.uint8)
        images = images.view(-1, 1, 8, 8)
        targets = torch.from_numpy(labels)
        train, test = (
            in_memory(images[rows], targets[rows], _CLASSES)
            for rows in map(torch.from_numpy, _split(labels))
        )
        return Data(self.name, train, test)


def _split(labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the row indices for training and for testing, each in the published order."""
    import numpy as np

    # RandomState: numpy guarantees that its streams never change
    random = np.random.RandomState(_SEED)
    chosen = [
        random.permutation(np.flatnonzero(labels == label))[:_TEST]
        for label in range(len(_CLASSES))
    ]
    test = np.sort(np.concatenate(chosen))
    return np.setdiff1d(np.arange(len(labels)), test), test
