"""Batches of a split: from memory where its images fit, from files where they do not."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2 import functional as tv

from attnbench.datasets.dataset import LabeledImages
from attnbench.errors import RequestError
from attnbench.training.augmentation import Transform, augmented, transforms
from attnbench.training.recipe import Recipe
from attnbench.training.seeds import image_seed, order

_MEMORY = 2**30
"""Bytes that the images of a split may take; on every machine the same, as the two kinds of feed
augment differently."""
_TEST_BATCH = 256
_OF_WHOLE = "RandomResizedCrop"
_PREFIX = f"{RequestError.__module__}.{RequestError.__name__}: "
Batch = tuple[Tensor, Tensor]


class Feed(Protocol):
    """A split in batches: images (B, 3, S, S) in float32, normalised, and targets (B,)."""

    @property
    def steps(self) -> int:
        """Batches of an epoch in training."""
        ...

    def training(self, seed: int, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from number ``first`` on.

        The caller seeds the global generator before it asks for a batch.
        """
        ...

    def test(self) -> Iterator[Batch]:
        """Yield all images in order, not augmented."""
        ...


def feed(samples: LabeledImages, recipe: Recipe, processes: int = 1) -> Feed:
    """Return the feed of a split for a recipe.

    Args:
        samples: the split.
        recipe: how its images are cut and augmented.
        processes: that share each batch in training.
    """
    side = recipe.resize or recipe.size
    channels = 3 if samples.stacked is None else samples.stacked.shape[1]
    fits = len(samples) * channels * side**2 <= _MEMORY
    # its crops are of whole pictures, of which the memory would hold the centres
    whole = samples.stacked is None and any(one.name == _OF_WHOLE for one in recipe.augment)
    kind = MemoryFeed if fits and not whole else FileFeed
    return kind(samples, recipe, processes)


class _Base:
    def __init__(self, samples: LabeledImages, recipe: Recipe, processes: int = 1) -> None:
        self.samples = samples
        self.recipe = recipe
        self.least = 2 * recipe.accumulate * processes
        self._transform: Transform | None = transforms(recipe)
        self._mean = torch.tensor(recipe.mean).view(1, 3, 1, 1)
        self._std = torch.tensor(recipe.std).view(1, 3, 1, 1)

    @property
    def steps(self) -> int:
        """Batches of an epoch; a last one is left out whose parts would be of single images."""
        whole, rest = divmod(len(self.samples), self.recipe.batch_size)
        return max(1, whole + (rest >= self.least))

    def _numbers(self, seed: int, epoch: int, first: int) -> Iterator[Tensor]:
        parts = torch.split(order(seed, epoch, len(self.samples)), self.recipe.batch_size)
        yield from parts[first : self.steps]

    def _normalised(self, images: Tensor) -> Tensor:
        """Return uint8 images in float32, normalised, three channels, laid out for speed."""
        scaled = images.to(torch.float32).div_(255.0)
        normal = (scaled - self._mean) / self._std  # one channel becomes three here
        if self.recipe.channels_last:
            return normal.contiguous(memory_format=torch.channels_last)
        return normal


class MemoryFeed(_Base):
    """All images of a split in memory, as squares in uint8.

    Args:
        samples: the split.
        recipe: for sizes, normalisation and transforms.
        processes: that share each batch in training.
    """

    def __init__(self, samples: LabeledImages, recipe: Recipe, processes: int = 1) -> None:
        super().__init__(samples, recipe, processes)
        side = recipe.resize or recipe.size
        self._images = _squares(samples, side)

    def training(self, seed: int, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from number ``first`` on."""
        for chosen in self._numbers(seed, epoch, first):
            images = augmented(self._images[chosen], self._transform, self.recipe.draw)
            yield self._normalised(_cut(images, self.recipe)), self.samples.targets[chosen]

    def test(self) -> Iterator[Batch]:
        """Yield all images in order."""
        for chosen in torch.split(torch.arange(len(self.samples)), _TEST_BATCH):
            images = _cut(self._images[chosen], self.recipe)
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
        numbers = [
            part.tolist() for part in torch.split(torch.arange(len(self.samples)), _TEST_BATCH)
        ]
        yield from self._loaded(_Images(self.samples, self.recipe, None, None), numbers)

    def _loaded(self, images: _Images, numbers: list[list[int]]) -> Iterator[Batch]:
        loader = DataLoader(
            images,
            batch_sampler=numbers,
            num_workers=min(self.recipe.workers, _cores()),
            generator=torch.Generator(),  # else it draws from the global one
        )
        batches = iter(loader)
        while (found := _next(batches)) is not None:
            if isinstance(found, str):
                del batches  # ends its processes
                raise RequestError(found)
            yield self._normalised(found[0]), found[1]


class _Images(Dataset[tuple[Tensor, Tensor]]):
    """Images as a ``DataLoader`` takes them: (3, S, S), uint8, augmented."""

    def __init__(
        self,
        samples: LabeledImages,
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
        if self._epoch is None or self._transform is None:
            image = _square(image, self._recipe.resize or self._recipe.size)
        else:
            with torch.random.fork_rng(devices=[]):
                # not torch.manual_seed: that would also set the GPUs', which nobody puts back
                torch.default_generator.manual_seed(image_seed(*self._epoch, index))
                image = self._transform(image)
        return _cut(image, self._recipe), self._samples.targets[index]


def _next(batches: Iterator[Batch]) -> Batch | str | None:
    """Return the next batch; None after the last; what is wrong with an image."""
    try:
        return next(batches, None)
    except RequestError as error:  # of another process: a traceback, then the message
        traceback.clear_frames(error.__traceback__)  # they would keep the loader's processes
        return str(error).strip().splitlines()[-1].removeprefix(_PREFIX)


def _squares(samples: LabeledImages, side: int) -> Tensor:
    """Return all images as (N, C, side, side): the shorter side fitted, the centre kept."""
    if samples.stacked is not None:
        return torch.cat([_square(part, side) for part in torch.split(samples.stacked, 1024)])
    found = torch.empty(len(samples), 3, side, side, dtype=torch.uint8)
    for number in range(len(samples)):
        found[number] = _square(_rgb(samples.image(number)), side)
    return found


def _square(images: Tensor, side: int) -> Tensor:
    if images.shape[-2:] == (side, side):
        return images
    fitted = tv.resize(images, [side], antialias=True)
    square: Tensor = tv.center_crop(fitted, [side, side])
    return square


def _cut(images: Tensor, recipe: Recipe) -> Tensor:
    """Return images of the recipe's size: as transforms left them, or the centre."""
    side = recipe.size
    if images.shape[-2:] == (side, side):
        return images
    square: Tensor = tv.center_crop(_square(images, recipe.resize or side), [side, side])
    return square


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _rgb(image: Tensor) -> Tensor:
    return image.expand(3, -1, -1) if image.shape[0] == 1 else image
