"""Batches of a split, from memory if its images fit, otherwise from files; their augmentation."""

from __future__ import annotations

import inspect
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

from attnbench.datasets.dataset import LabeledImages
from attnbench.errors import RequestError, suggestion, unknown
from attnbench.timing.isolation import allowed_cores
from attnbench.training.recipe import Augment, Recipe
from attnbench.training.seeds import image_seed, order
from attnbench.utils.text import describe

_MEMORY = 2**30
"""Limit in bytes for the images of a split in memory; the same on every machine, as the two kinds
of feed augment differently."""
_PREFIX = f"{RequestError.__module__}.{RequestError.__name__}: "
Batch = tuple[Tensor, Tensor]
Epoch = tuple[int, int]
"""Seed and number of an epoch."""
Transform = Callable[[Tensor], Tensor]
Mixing = Callable[[Tensor, Tensor], Batch]


_PROCESSOR = torch.device("cpu")


class Feed(ABC):
    """The batches of a split: images (B, 3, S, S) in float32, normalized, and targets (B,).

    Images are augmented in uint8 on the processor. They are sent to the device as they are, a
    quarter of the bytes, and normalized there.

    Args:
        samples: the split.
        recipe: the recipe, for sizes, normalization and transforms.
        processes: the number of processes that share each batch in training.
        device: the device of the batches.
    """

    def __init__(
        self,
        samples: LabeledImages,
        recipe: Recipe,
        processes: int = 1,
        device: torch.device = _PROCESSOR,
    ) -> None:
        self.samples = samples
        self.recipe = recipe
        self.least = 2 * recipe.accumulate * processes
        self.device = device
        self._transform: Transform | None = transforms(recipe)
        self._mean = torch.tensor(recipe.mean).view(1, 3, 1, 1).to(device)
        self._std = torch.tensor(recipe.std).view(1, 3, 1, 1).to(device)

    @property
    def steps(self) -> int:
        """The number of batches per epoch, without a last one too small to be cut into parts."""
        whole, rest = divmod(len(self.samples), self.recipe.batch_size)
        return max(1, whole + (rest >= self.least))

    def training(self, seed: int, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Return the batches of an epoch from number ``first`` on.

        The caller seeds the global generator before it requests a batch.
        """
        parts = torch.split(order(seed, epoch, len(self.samples)), self.recipe.batch_size)
        return self._finished(self._batches(parts[first : self.steps], (seed, epoch)))

    def test(self) -> Iterator[Batch]:
        """Return the batches of all images in order, without augmentation."""
        return self._finished(
            self._batches(torch.split(torch.arange(len(self.samples)), 256), None)
        )

    @abstractmethod
    def _batches(self, numbers: Sequence[Tensor], epoch: Epoch | None) -> Iterator[Batch]:
        """Yield uint8 batches of the images with these numbers, augmented in an epoch of a seed."""

    def _finished(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield batches on the device, their images normalized."""
        for images, targets in batches:
            yield self._normalized(self._sent(images)), self._sent(targets)

    def _sent(self, batch: Tensor) -> Tensor:
        """Return a batch on the device; to a GPU it is copied while the processor goes on."""
        if self.device.type != "cuda":
            return batch.to(self.device)
        return batch.pin_memory().to(self.device, non_blocking=True)

    def _normalized(self, images: Tensor) -> Tensor:
        """Return uint8 images as normalized float32 with three channels, in the recipe's layout."""
        scaled = images.to(torch.float32).div_(255.0)
        normal = (scaled - self._mean) / self._std  # broadcasts one channel to three
        last = self.recipe.channels_last
        return normal.contiguous(memory_format=torch.channels_last) if last else normal


def feed(
    samples: LabeledImages,
    recipe: Recipe,
    processes: int = 1,
    device: torch.device = _PROCESSOR,
) -> Feed:
    """Return the feed of a split for a recipe; ``processes`` share each batch in training."""
    side = recipe.resize or recipe.size
    channels = 3 if samples.stacked is None else samples.stacked.shape[1]
    fits = len(samples) * channels * side**2 <= _MEMORY
    # this transform crops whole images, but a feed from memory holds only their centers
    crops = any(augment.name == "RandomResizedCrop" for augment in recipe.augment)
    kind = MemoryFeed if fits and not (crops and samples.stacked is None) else FileFeed
    return kind(samples, recipe, processes, device)


class MemoryFeed(Feed):
    """A feed with all images of a split in memory, as squares in uint8."""

    def __init__(
        self,
        samples: LabeledImages,
        recipe: Recipe,
        processes: int = 1,
        device: torch.device = _PROCESSOR,
    ) -> None:
        super().__init__(samples, recipe, processes, device)
        self._images = _squares(samples, recipe.resize or recipe.size)

    def _batches(self, numbers: Sequence[Tensor], epoch: Epoch | None) -> Iterator[Batch]:
        transform = self._transform if epoch else None
        for chosen in numbers:
            images = augment_batch(self._images[chosen], transform, self.recipe.draw)
            yield _cut(images, self.recipe), self.samples.targets[chosen]


class FileFeed(Feed):
    """A feed that reads and decodes images on demand, in worker processes of a ``DataLoader``.

    Each image has random draws of its own, determined by seed, epoch and index, so that the result
    does not depend on the number of processes. Those of training go on from epoch to epoch.
    """

    _kept: DataLoader[Batch] | None = None
    """The loader of training, with its processes."""

    def _batches(self, numbers: Sequence[Tensor], epoch: Epoch | None) -> Iterator[Batch]:
        requests = [[(epoch, number) for number in chosen.tolist()] for chosen in numbers]
        loader = self._kept if epoch else None
        if loader is None:
            loader = self._loader(keeps=epoch is not None)
        if epoch:
            self._kept = loader
        cast("_Requests", loader.batch_sampler).batches = requests
        batches = iter(loader)
        while (found := _next(batches)) is not None:
            if isinstance(found, str):
                self._kept = None
                del batches, loader  # ends the worker processes
                raise RequestError(found)
            yield found

    def _loader(self, *, keeps: bool) -> DataLoader[Batch]:
        """Return a loader of the images that its sampler will name."""
        workers = min(self.recipe.workers, len(allowed_cores()))
        return DataLoader(
            _Images(self.samples, self.recipe, self._transform),
            batch_sampler=_Requests(),
            num_workers=workers,
            persistent_workers=keeps and workers > 0,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # the default would draw from the global generator
        )


_Request = tuple[Epoch | None, int]
"""Epoch of the augmentation, None for a test, and index of an image."""


class _Requests(Sampler[list[_Request]]):
    """The sampler of a loader, whose batches are set before it is iterated."""

    def __init__(self) -> None:
        self.batches: list[list[_Request]] = []

    def __iter__(self) -> Iterator[list[_Request]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


@dataclass(eq=False)
class _Images(Dataset[Batch]):
    """A map-style data set for a ``DataLoader``: images (3, S, S), uint8, augmented."""

    samples: LabeledImages
    recipe: Recipe
    transform: Transform | None

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, request: _Request) -> Batch:
        epoch, index = request
        image = _rgb(self.samples.image(index))
        if self.transform is None or epoch is None:
            image = _square(image, self.recipe.resize or self.recipe.size)
        else:
            with torch.random.fork_rng(devices=[]):
                # not torch.manual_seed: it would also seed the GPUs, which are not restored
                torch.default_generator.manual_seed(image_seed(*epoch, index))
                image = self.transform(image)
        return _cut(image, self.recipe), self.samples.targets[index]


def transforms(recipe: Recipe) -> Transform | None:
    """Return a recipe's transforms of uint8 images (..., C, H, W), composed; None without any.

    Raises:
        RequestError: torchvision has no such transform, or the transform lacks an option.
    """
    made = [_transform(augment, recipe) for augment in recipe.augment]
    return v2.Compose(made) if made else None


def augment_batch(images: Tensor, transform: Transform | None, draw: int) -> Tensor:
    """Return transformed images (B, C, H, W); groups of ``draw`` images share the random draws."""
    if transform is None:
        return images
    return torch.cat([transform(part) for part in torch.split(images, draw)])


def find_mixing(recipe: Recipe, classes: int) -> Mixing | None:
    """Return mixup, cutmix or a random choice of the two; None if a recipe has neither."""
    kinds = ((v2.MixUp, recipe.mixup), (v2.CutMix, recipe.cutmix))
    found: list[Any] = [kind(alpha=a, num_classes=classes) for kind, a in kinds if a > 0]
    mix: Mixing | None = v2.RandomChoice(found) if len(found) > 1 else next(iter(found), None)
    return mix


def _transform(augment: Augment, recipe: Recipe) -> Transform:
    kind: Any = getattr(v2, augment.name, None)
    if not _is_transform(kind):
        names = [name for name in dir(v2) if _is_transform(getattr(v2, name))]
        way_out = f"Recipe {recipe.name} may name those of torchvision.transforms.v2."
        raise unknown("transform", augment.name, names, listed=(), way_out=way_out)
    known = list(inspect.signature(kind).parameters)
    for option in augment.options:
        if option not in known:
            raise RequestError(
                f"recipe {recipe.name}: {augment.name} has no option {option!r}. Choose from "
                f"{', '.join(known)}.{suggestion(option, known)}"
            )
    try:
        return kind(**augment.options)  # type: ignore[no-any-return]
    except Exception as error:
        problem = f"recipe {recipe.name}: {augment.name} cannot be built: {describe(error)}"
        raise RequestError(problem) from error


def _is_transform(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, v2.Transform)


def _next(batches: Iterator[Batch]) -> Batch | str | None:
    """Return the next batch, None after the last, or the error of an image as text."""
    try:
        return next(batches, None)
    except RequestError as error:  # from a worker process: a traceback, then the message
        # the frames would keep the worker processes alive
        traceback.clear_frames(error.__traceback__)
        return str(error).strip().splitlines()[-1].removeprefix(_PREFIX)


def _squares(samples: LabeledImages, side: int) -> Tensor:
    """Return all images as (N, C, side, side): shorter side resized, center cropped."""
    if samples.stacked is not None:
        return torch.cat([_square(part, side) for part in torch.split(samples.stacked, 1024)])
    found = torch.empty(len(samples), 3, side, side, dtype=torch.uint8)
    for number in range(len(samples)):
        found[number] = _square(_rgb(samples.image(number)), side)
    return found


def _square(images: Tensor, side: int) -> Tensor:
    if images.shape[-2:] == (side, side):
        return images
    square: Tensor = tv.center_crop(tv.resize(images, [side], antialias=True), [side, side])
    return square


def _cut(images: Tensor, recipe: Recipe) -> Tensor:
    """Return images of the recipe's size, cropped at the center if they have another."""
    side = recipe.size
    if images.shape[-2:] == (side, side):
        return images
    square: Tensor = tv.center_crop(_square(images, recipe.resize or side), [side, side])
    return square


def _rgb(image: Tensor) -> Tensor:
    return image.expand(3, -1, -1) if image.shape[0] == 1 else image
