"""Adaptation of a backbone for 224x224 to small images, by the strides of its stages."""

from __future__ import annotations

from torch import nn

from attnbench.errors import RequestError
from attnbench.training.recipe import Recipe


def adapt(model: nn.Module, recipe: Recipe) -> nn.Module:
    """Set the strides that a recipe requests, in place, and return the network.

    Weights and their shapes are unchanged.

    Raises:
        RequestError: the recipe has more strides than the network has convolutions of stride 2.
    """
    if recipe.stem is None:
        return model
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    strided = [convolution for convolution in convolutions if _halves(convolution)]
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
