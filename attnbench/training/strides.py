"""Fitting a backbone that was made for 224x224 to small images, by the strides of its stages."""

from __future__ import annotations

from torch import nn

from attnbench.errors import RequestError
from attnbench.training.recipe import Recipe


def adapt(model: nn.Module, recipe: Recipe) -> nn.Module:
    """Set the strides that a recipe asks for, in place, and return the network.

    Weights and their shapes stay as they are.

    Raises:
        RequestError: the network has fewer convolutions that halve the map than the recipe says.
    """
    if recipe.stem is None:
        return model
    strided = [one for one in model.modules() if isinstance(one, nn.Conv2d) and _halves(one)]
    wanted = recipe.stem.strides
    if len(wanted) > len(strided):
        raise RequestError(
            f"recipe {recipe.name}: stem.strides has {len(wanted)} strides; "
            f"{type(model).__name__} has {len(strided)} convolutions of stride 2"
        )
    for convolution, stride in zip(strided, wanted, strict=False):
        convolution.stride = (stride, stride)
    return model


def _halves(convolution: nn.Conv2d) -> bool:
    return tuple(convolution.stride) == (2, 2)
