"""Activation maps: one image through a network, watched where modules were inserted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from attnbench.counting.forward_pass import quiet_pass
from attnbench.errors import RequestError
from attnbench.models.inserted import Inserted
from attnbench.reports.figures.activation_stats import Array, SiteMap

__all__ = ["SiteMap", "attention_maps"]


def attention_maps(model: nn.Module, image: Tensor) -> list[SiteMap]:
    """Return what each inserted module does to the features of one image, in order of the pass.

    The model runs once, in eval mode and without gradients, and is left as it was: modes, weights
    and statistics, hooks. The image goes to the model's device and dtype.

    Args:
        model: a network from :func:`attnbench.insert`; the modules' insides are not looked at.
        image: (1, 3, H, W), normalised as the network wants it.

    Raises:
        RequestError: no module was inserted or none ran, the image is not one image, or the
            forward pass failed.
    """
    sites = [(path, one) for path, one in model.named_modules() if isinstance(one, Inserted)]
    if not sites:
        raise RequestError(
            f"{type(model).__name__} has no inserted module, so there is nothing to show; "
            "attnbench.insert puts one in"
        )
    _check(image)
    maps: list[SiteMap] = []
    with ExitStack() as hooks:
        for path, site in sites:
            hooks.enter_context(_watched(path, site.attention, maps))
        _run(model, image)
    if not maps:
        paths = ", ".join(path or "the model itself" for path, _ in sites)
        raise RequestError(f"no inserted module ran in the forward pass: {paths}")
    return maps


def _check(image: Tensor) -> None:
    if not isinstance(image, Tensor) or image.dim() != 4 or image.shape[0] != 1:
        given = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
        raise RequestError(f"activation maps need one image of shape (1, 3, H, W), not {given}")
    if not image.is_floating_point():
        raise RequestError(f"the image is {image.dtype}; give it normalised, as floats")


def _run(model: nn.Module, image: Tensor) -> None:
    like = next((one for one in model.parameters() if one.is_floating_point()), image)
    with _evaluating(model), quiet_pass():
        try:
            model(image.to(like.device, like.dtype))
        except RequestError:
            raise
        except Exception as error:  # whatever a model's own code does
            raise RequestError(
                f"{type(model).__name__} failed on an image of size {tuple(image.shape)}: "
                f"{type(error).__name__}: {' '.join(str(error).split())}"
            ) from error


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode  # not .train(): what was frozen within it stays frozen


@contextmanager
def _watched(path: str, attention: nn.Module, maps: list[SiteMap]) -> Iterator[None]:
    """While entered, each call of a module appends what it did."""
    given: list[Array] = []

    def before(module: nn.Module, args: tuple[Any, ...]) -> None:
        given.append(_features(path, args[0]))  # at once: a module may write into its input

    def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        maps.append(SiteMap(path, given.pop(), _features(path, output)))

    handles = [
        attention.register_forward_pre_hook(before),
        attention.register_forward_hook(after),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _features(path: str, value: Any) -> Array:
    """Return a copy of the features of one image, (C, h, w)."""
    if not isinstance(value, Tensor) or value.dim() != 4 or value.shape[0] != 1:
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise RequestError(f"{path}: maps need features (1, C, h, w) of one image, not {shape}")
    copied: Array = value[0].detach().to("cpu", torch.float64, copy=True).numpy()
    return copied
