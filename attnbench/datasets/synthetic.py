"""Synthetic images for dry runs: small, learnable, identical on every machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from attnbench.datasets.dataset import Data, LabeledImages, in_memory
from attnbench.errors import RequestError
from attnbench.registry.specs import Spec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LEAST = {"classes": 2, "count": 4, "size": 4}
_NOISE = 40
"""Standard deviation of the noise on each value, on the scale of 255."""
_COARSE = 4
"""Patches per side of a class's pattern."""


@dataclass(frozen=True)
class Synthetic:
    """A colored pattern with added noise for each class; the classes alternate.

    Args:
        classes: the number of classes.
        count: the number of training images; there are a quarter as many test images.
        size: height and width.
    """

    classes: int = 10
    count: int = 512
    size: int = 16

    title: ClassVar[str] = "Computed patterns for dry runs: accuracies on it mean nothing"
    page: ClassVar[str | None] = None
    terms: ClassVar[str | None] = None
    synthetic: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for option, least in _LEAST.items():
            value = getattr(self, option)
            if type(value) is not int or value < least:
                raise RequestError(
                    f"data set synthetic: {option} must be a whole number of at least {least}, "
                    f"not {value!r}"
                )
        if self.count < 4 * self.classes:
            raise RequestError(
                f"data set synthetic: count must be at least {4 * self.classes} for "
                f"{self.classes} classes, not {self.count}"
            )

    @property
    def name(self) -> str:
        """The spec, with the options that differ from their defaults."""
        plain = Synthetic.__dataclass_fields__
        given = {key: getattr(self, key) for key in _LEAST}
        options = {key: value for key, value in given.items() if value != plain[key].default}
        return str(Spec("synthetic", options))

    @property
    def counts(self) -> tuple[int, int] | None:
        """The numbers of training and test images."""
        return self.count, self.count // 4

    def where(self, root: Path) -> Path | None:
        """Return None: nothing is stored."""
        return None

    def missing(self, root: Path) -> str | None:
        """Return None: the data set is always available."""
        return None

    def identity(self, root: Path) -> str:
        """Return the options and the version of the generation rule."""
        return f"synthetic/1,classes={self.classes},count={self.count},size={self.size}"

    def load(self, root: Path) -> Data:
        """Return both splits, images of (3, size, size)."""
        import numpy as np

        random = np.random.RandomState(0)
        coarse = random.randint(48, 208, (self.classes, 3, _COARSE, _COARSE))
        rows = np.arange(self.size) * _COARSE // self.size
        patterns = coarse[:, :, rows][:, :, :, rows]
        train, test = (self._drawn(patterns, count, random) for count in self.counts or ())
        return Data(self.name, train, test, synthetic=True)

    def _drawn(
        self, patterns: NDArray[np.int64], count: int, random: np.random.RandomState
    ) -> LabeledImages:
        import numpy as np
        import torch

        labels = np.arange(count) % self.classes
        noise = random.normal(0, _NOISE, (count, *patterns.shape[1:]))
        images = (patterns[labels] + noise).round().clip(0, 255).astype(np.uint8)
        names = tuple(str(label) for label in range(self.classes))
        return in_memory(torch.from_numpy(images), torch.from_numpy(labels), names)
