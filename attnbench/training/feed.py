"""Batches of a split: from memory where its images fit, from files where they do not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import psutil
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2 import functional as tv

from attnbench.datasets.model import Samples
from attnbench.training.augment import Transform, augmented, transforms
from attnbench.training.recipe import Recipe
from attnbench.training.seeds import image_seed, order

_SHARE = 0.25
"""Of the machine's memory that the images of a split may take."""
_TEST_BATCH = 256
Batch = tuple[Tensor, Tensor]


class Feed(Protocol):
    """A split in batches: images (B, 3, S, S) in float32, normalised, and targets (B,)."""

    @property
    def steps(self) -> int:
        """Batches of an epoch in training."""

    def training(self, seed: int, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from number ``first`` on.

        The caller seeds the global generator before it asks for a batch.
        """

    def test(self) -> Iterator[Batch]:
        """Yield all images in order, not augmented."""


def feed(samples: Samples, recipe: Recipe) -> Feed:
    """Return the feed of a split for a recipe."""
    side = recipe.resize or recipe.size
    channels = 3 if samples.stacked is None else samples.stacked.shape[1]
    fits = len(samples) * channels * side**2 < _SHARE * psutil.virtual_memory().total
    return MemoryFeed(samples, recipe) if fits else FileFeed(samples, recipe)


class _Base:
    def __init__(self, samples: Samples, recipe: Recipe) -> None:
        self.samples = samples
        self.recipe = recipe
        self._transform: Transform | None = transforms(recipe)
        self._mean = torch.tensor(recipe.mean).view(1, 3, 1, 1)
        self._std = torch.tensor(recipe.std).view(1, 3, 1, 1)

    @property
    def steps(self) -> int:
        """Batches of an epoch in training; a last one of a single image is left out."""
        count, size = len(self.samples), self.recipe.batch_size
        return max(1, math.ceil(count / size) - (count % size == 1))

    def _numbers(self, seed: int, epoch: int, first: int) -> Iterator[Tensor]:
        parts = order(seed, epoch, len(self.samples)).split(self.recipe.batch_size)
        yield from parts[first : self.steps]

    def _normalised(self, images: Tensor) -> Tensor:
        """Return uint8 images in float32, normalised, three channels, laid out for speed."""
        scaled = images.to(torch.float32).div_(255.0)
        normal = (scaled - self._mean) / self._std  # one channel becomes three here
        if self.recipe.channels_last:
            return normal.contiguous(memory_format=torch.channels_last)
        return normal

    def _cropped(self, images: Tensor) -> Tensor:
        side = self.recipe.size
        return tv.center_crop(images, [side, side]) if images.shape[-1] != side else images


class MemoryFeed(_Base):
    """All images of a split in memory, as squares in uint8.

    Args:
        samples: the split.
        recipe: for sizes, normalisation and transforms.
    """

    def __init__(self, samples: Samples, recipe: Recipe) -> None:
        super().__init__(samples, recipe)
        side = recipe.resize or recipe.size
        self._images = _squares(samples, side)

    def training(self, seed: int, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from number ``first`` on."""
        for chosen in self._numbers(seed, epoch, first):
            images = augmented(self._images[chosen], self._transform, self.recipe.draw)
            yield self._normalised(self._cropped(images)), self.samples.targets[chosen]

    def test(self) -> Iterator[Batch]:
        """Yield all images in order."""
        for chosen in torch.arange(len(self.samples)).split(_TEST_BATCH):
            images = self._cropped(self._images[chosen])
            yield self._normalised(images), self.samples.targets[chosen]


class FileFeed(_Base):
    """Images read and decoded as they are needed, by processes of a ``DataLoader``.

    Each image has random draws of its own, fixed by seed, epoch and its number, so that the number
    of processes changes nothing.
    """

    def training(self, seed: int, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from number ``first`` on."""
        numbers = [chosen.tolist() for chosen in self._numbers(seed, epoch, first)]
        images = _Images(self.samples, self.recipe, self._transform, (seed, epoch))
        yield from self._loaded(images, numbers)

    def test(self) -> Iterator[Batch]:
        """Yield all images in order."""
        numbers = [part.tolist() for part in torch.arange(len(self.samples)).split(_TEST_BATCH)]
        yield from self._loaded(_Images(self.samples, self.recipe, None, None), numbers)

    def _loaded(self, images: _Images, numbers: list[list[int]]) -> Iterator[Batch]:
        state = torch.random.get_rng_state()  # the loader draws a seed for its processes
        loader = DataLoader(images, batch_sampler=numbers, num_workers=self.recipe.workers)
        batches = iter(loader)
        torch.random.set_rng_state(state)
        for raw, targets in batches:
            yield self._normalised(raw), targets


class _Images(Dataset[tuple[Tensor, Tensor]]):
    """Images as a ``DataLoader`` takes them: (3, S, S), uint8, augmented."""

    def __init__(
        self,
        samples: Samples,
        recipe: Recipe,
        transform: Transform | None,
        epoch: tuple[int, int] | None,
    ) -> None:
        self._samples = samples
        self._recipe = recipe
        self._transform = transform
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = _rgb(self._samples.image(index))
        side = self._recipe.size
        if self._epoch is not None and self._transform is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(image_seed(*self._epoch, index))
                image = self._transform(image)
        if image.shape[-2:] != (side, side):
            image = _square(image, self._recipe.resize or side)
            image = tv.center_crop(image, [side, side])
        return image, self._samples.targets[index]


def _squares(samples: Samples, side: int) -> Tensor:
    """Return all images as (N, C, side, side): the shorter side fitted, the centre kept."""
    if samples.stacked is not None:
        return torch.cat([_square(part, side) for part in samples.stacked.split(1024)])
    found = torch.empty(len(samples), 3, side, side, dtype=torch.uint8)
    for number in range(len(samples)):
        found[number] = _square(_rgb(samples.image(number)), side)
    return found


def _square(images: Tensor, side: int) -> Tensor:
    if images.shape[-2:] == (side, side):
        return images
    fitted = tv.resize(images, [side], antialias=True)
    return tv.center_crop(fitted, [side, side])


def _rgb(image: Tensor) -> Tensor:
    return image.expand(3, -1, -1) if image.shape[0] == 1 else image
