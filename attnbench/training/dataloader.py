"""Batches of a split: from memory if its images fit, otherwise from files."""

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
"""Limit in bytes for the images of a split in memory; the same on every machine, as the two kinds
of feed augment differently."""
_TEST_BATCH = 256
_OF_WHOLE = "RandomResizedCrop"
_PREFIX = f"{RequestError.__module__}.{RequestError.__name__}: "
Batch = tuple[Tensor, Tensor]


class Feed(Protocol):
    """The batches of a split: images (B, 3, S, S) in float32, normalised, and targets (B,)."""

    @property
    def steps(self) -> int:
        """The number of training batches per epoch."""
        ...

    def training(self, seed: int, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from number ``first`` on.

        The caller seeds the global generator before it requests a batch.
        """
        ...

    def test(self) -> Iterator[Batch]:
        """Yield all images in order, without augmentation."""
        ...


def feed(samples: LabeledImages, recipe: Recipe, processes: int = 1) -> Feed:
    """Return the feed of a split for a recipe.

    Args:
        samples: the split.
        recipe: the recipe, for size and augmentation of the images.
        processes: the number of processes that share each batch in training.
    """
    side = recipe.resize or recipe.size
    channels = 3 if samples.stacked is None else samples.stacked.shape[1]
    fits = len(samples) * channels * side**2 <= _MEMORY
    # it crops whole images, but a feed from memory holds only their centres
    whole = samples.stacked is None and any(augment.name == _OF_WHOLE for augment in recipe.augment)
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
        """The number of batches per epoch, without a last one too small to be cut into parts."""
        whole, rest = divmod(len(self.samples), self.recipe.batch_size)
        return max(1, whole + (rest >= self.least))

    def _numbers(self, seed: int, epoch: int, first: int) -> Iterator[Tensor]:
        parts = torch.split(order(seed, epoch, len(self.samples)), self.recipe.batch_size)
        yield from parts[first : self.steps]

    def _normalized(self, images: Tensor) -> Tensor:
        """Return uint8 images as normalised float32 with three channels, in the recipe's layout."""
        scaled = images.to(torch.float32).div_(255.0)
        normal = (scaled - self._mean) / self._std  # broadcasts one channel to three
        if self.recipe.channels_last:
            return normal.contiguous(memory_format=torch.channels_last)
        return normal


class MemoryFeed(_Base):
    """A feed with all images of a split in memory, as squares in uint8.

    Args:
        samples: the split.
        recipe: the recipe, for sizes, normalisation and transforms.
        processes: the number of processes that share each batch in training.
    """

    def __init__(self, samples: LabeledImages, recipe: Recipe, processes: int = 1) -> None:
        super().__init__(samples, recipe, processes)
        side = recipe.resize or recipe.size
        self._images = _squares(samples, side)

    def training(self, seed: int, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from number ``first`` on."""
        for chosen in self._numbers(seed, epoch, first):
            images = augmented(self._images[chosen], self._transform, self.recipe.draw)
            yield self._normalized(_cut(images, self.recipe)), self.samples.targets[chosen]

    def test(self) -> Iterator[Batch]:
        """Yield all images in order."""
        for chosen in torch.split(torch.arange(len(self.samples)), _TEST_BATCH):
            images = _cut(self._images[chosen], self.recipe)
            yield self._normalized(images), self.samples.targets[chosen]


class FileFeed(_Base):
    """A feed that reads and decodes images on demand, in worker processes of a ``DataLoader``.

    Each image has random draws of its own, determined by seed, epoch and index, so that the result
    does not depend on the number of processes.
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
            generator=torch.Generator(),  # the default would draw from the global generator
        )
        batches = iter(loader)
        while (found := _next(batches)) is not None:
            if isinstance(found, str):
                del batches  # ends the worker processes
                raise RequestError(found)
            yield self._normalized(found[0]), found[1]


class _Images(Dataset[tuple[Tensor, Tensor]]):
    """A map-style data set for a ``DataLoader``: images (3, S, S), uint8, augmented."""

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
                # not torch.manual_seed: it would also seed the GPUs, which are not restored
                torch.default_generator.manual_seed(image_seed(*self._epoch, index))
                image = self._transform(image)
        return _cut(image, self._recipe), self._samples.targets[index]


def _next(batches: Iterator[Batch]) -> Batch | str | None:
    """Return the next batch, None after the last, or the error of an image as text."""
    try:
        return next(batches, None)
    except RequestError as error:  # from a worker process: a traceback, then the message
        # the frames would keep the worker processes alive
        traceback.clear_frames(error.__traceback__)
        return str(error).strip().splitlines()[-1].removeprefix(_PREFIX)


def _squares(samples: LabeledImages, side: int) -> Tensor:
    """Return all images as (N, C, side, side): shorter side resized, centre cropped."""
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
    """Return images of the recipe's size, cropped at the centre if they have another."""
    side = recipe.size
    if images.shape[-2:] == (side, side):
        return images
    square: Tensor = tv.center_crop(_square(images, recipe.resize or side), [side, side])
    return square


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _rgb(image: Tensor) -> Tensor:
    return image.expand(3, -1, -1) if image.shape[0] == 1 else image
