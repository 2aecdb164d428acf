"""Handwritten digits embedded in scikit-learn: 1,797 grey images of 8x8, ten classes."""

# constants take the place of properties
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# pyright: reportAssignmentType=false

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from attnbench.datasets.dataset import Data, Dataset, in_memory


@dataclass(frozen=True)
class Digits(Dataset):
    """Handwritten digits: 1,437 images for training and 360 for testing, 36 of each class.

    The split is this suite's own, as none was published with the copy in scikit-learn: numpy's
    ``RandomState(0)`` permutes the images of each class in turn, and the first 36 are for testing.
    Values are scaled from 0..16 to 0..255.
    """

    name = "digits"
    title = "Handwritten digits, grey 8x8, embedded in scikit-learn"
    terms = "CC BY 4.0 (UCI Machine Learning Repository)"
    classes = 10
    counts = (1437, 360)

    def missing(self, root: Path) -> str | None:
        """Return the command that installs scikit-learn if it is absent, or None."""
        if find_spec("sklearn") is not None:
            return None
        return "data set digits comes with scikit-learn: pip install scikit-learn"

    def load(self, root: Path) -> Data:
        """Return both splits, images of (1, 8, 8)."""
        import numpy as np
        import torch

        # read as a file: sklearn.datasets takes a second to import
        (package,) = find_spec("sklearn").submodule_search_locations  # type: ignore[union-attr,misc]
        table = np.loadtxt(Path(package, "datasets/data/digits.csv.gz"), delimiter=",")
        values, labels = table[:, :-1], table[:, -1].astype(int)
        random = np.random.RandomState(0)  # numpy guarantees that its streams never change
        rows = [np.flatnonzero(labels == label) for label in range(10)]
        # a fifth of about 180
        test = np.sort(np.concatenate([random.permutation(own)[:36] for own in rows]))
        train = np.setdiff1d(np.arange(len(labels)), test)
        images = torch.from_numpy(values).mul(255 / 16).round().to(torch.uint8).view(-1, 1, 8, 8)
        targets = torch.from_numpy(labels)
        names = tuple("0123456789")
        first, second = (in_memory(images[at], targets[at], names) for at in (train, test))
        return Data(self.name, first, second)
