"""Augmentation of batches by torchvision's transforms."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2

from attnbench.errors import RequestError, suggestion, unknown
from attnbench.training.recipe import Augment, Recipe
from attnbench.utils.text import describe

Transform = Callable[[Tensor], Tensor]


def transforms(recipe: Recipe) -> Transform | None:
    """Return a recipe's transforms of uint8 images (..., C, H, W), composed; None without any.

    Raises:
        RequestError: torchvision has no such transform, or the transform lacks an option.
    """
    made = [_transform(augment, recipe) for augment in recipe.augment]
    return v2.Compose(made) if made else None


def augmented(images: Tensor, transform: Transform | None, draw: int) -> Tensor:
    """Return transformed images (B, C, H, W); groups of ``draw`` images share the random draws."""
    if transform is None:
        return images
    return torch.cat([transform(part) for part in torch.split(images, draw)])


def mixing(
    recipe: Recipe, classes: int
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None:
    """Return mixup, cutmix or a random choice of the two; None if a recipe has neither."""
    found: list[Any] = [
        kind(alpha=alpha, num_classes=classes)
        for kind, alpha in ((v2.MixUp, recipe.mixup), (v2.CutMix, recipe.cutmix))
        if alpha > 0
    ]
    if not found:
        return None
    mix: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    mix = found[0] if len(found) == 1 else v2.RandomChoice(found)
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
                f"recipe {recipe.name}: {augment.name} has no option {option!r}; it takes "
                f"{', '.join(known)}.{suggestion(option, known)}"
            )
    try:
        return kind(**augment.options)  # type: ignore[no-any-return]
    except Exception as error:
        raise RequestError(
            f"recipe {recipe.name}: {augment.name} cannot be built: {describe(error)}"
        ) from error


def _is_transform(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, v2.Transform)
