"""Synthetic images for dry runs: small, learnable, identical on every machine."""

# constants take the place of properties
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# pyright: reportAssignmentType=false

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from attnbench.datasets.dataset import Data, Dataset, LabeledImages, in_memory
from attnbench.errors import RequestError
from attnbench.registry.specs import Spec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Synthetic(Dataset):
    """A colored pattern of 4x4 patches with added noise for each class; the classes alternate.

    Args:
        classes: the number of classes.
        count: the number of training images; there are a quarter as many test images.
        size: height and width.
    """

    classes: int = 10
    count: int = 512
    size: int = 16

    title = "Computed patterns for dry runs: accuracies on it mean nothing"
    synthetic = True

    def __post_init__(self) -> None:
        self._check("classes", 2)
        self._check("size", 4)
        self._check("count", 4 * self.classes, f" for {self.classes} classes")

    def _check(self, option: str, least: int, where: str = "") -> None:
        value = getattr(self, option)
        if type(value) is not int or value < least:
            raise RequestError(
                f"data set synthetic: {option}{where} is invalid: got {value!r}. "
                f"Give a whole number of at least {least}."
            )

    @property
    def name(self) -> str:
        """The spec, with the options that differ from their defaults."""
        given = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        changed = {key: value for key, (value, default) in given.items() if value != default}
        return str(Spec("synthetic", changed))

    @property
    def counts(self) -> tuple[int, int]:
        """The numbers of training and test images."""
        return self.count, self.count // 4

    def identity(self, root: Path) -> str:
        """Return the options and the version of the generation rule."""
        return f"synthetic/1,classes={self.classes},count={self.count},size={self.size}"

    def load(self, root: Path) -> Data:
        """Return both splits, images of (3, size, size)."""
        import numpy as np

        random = np.random.RandomState(0)
        coarse = random.randint(48, 208, (self.classes, 3, 4, 4))
        rows = np.arange(self.size) * 4 // self.size
        patterns = coarse[:, :, rows][:, :, :, rows]
        train, test = (self._generate(patterns, count, random) for count in self.counts)
        return Data(self.name, train, test, synthetic=True)

    def _generate(
        self, patterns: NDArray[np.int64], count: int, random: np.random.RandomState
    ) -> LabeledImages:
        import numpy as np
        import torch

        labels = np.arange(count) % self.classes
        noise = random.normal(0, 40, (count, *patterns.shape[1:]))  # on the scale of 255
        images = (patterns[labels] + noise).round().clip(0, 255).astype(np.uint8)
        names = tuple(map(str, range(self.classes)))
        return in_memory(torch.from_numpy(images), torch.from_numpy(labels), names)
