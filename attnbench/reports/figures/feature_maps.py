"""Activation maps of one image, recorded by hooks at the inserted modules of a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from attnbench.counting.forward_pass import quiet_pass
from attnbench.errors import RequestError
from attnbench.models.block_layers import Inserted
from attnbench.reports.figures.activations import Array, SiteMap


def attention_maps(model: nn.Module, image: Tensor) -> list[SiteMap]:
    """Return the feature maps before and after each inserted module, in execution order.

    The model runs once, in eval mode and without gradients. Its modes, weights, statistics and
    hooks are unchanged afterwards. The image is moved to the model's device and dtype.

    Args:
        model: a network from :func:`attnbench.insert`; the modules are treated as black boxes.
        image: (1, 3, H, W), normalized as the network requires.

    Raises:
        RequestError: no module was inserted or none ran, the image is not one image, or the
            forward pass failed.
    """
    modules = model.named_modules()
    sites = [(path, module) for path, module in modules if isinstance(module, Inserted)]
    if not sites:
        raise RequestError(
            f"{type(model).__name__} has no inserted module. Insert one with attnbench.insert."
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
        raise RequestError(f"image has the wrong shape: got {given}. Give one image, (1, 3, H, W).")
    if not image.is_floating_point():
        raise RequestError(f"image is not floating point: got {image.dtype}. Normalize it.")


def _run(model: nn.Module, image: Tensor) -> None:
    floating = (found for found in model.parameters() if found.is_floating_point())
    like = next(floating, image)
    with _evaluating(model), quiet_pass():
        try:
            model(image.to(like.device, like.dtype))
        except RequestError:
            raise
        except Exception as error:  # a model's own code may raise anything
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
            module.training = mode  # not .train(), which would unfreeze frozen submodules


@contextmanager
def _watched(path: str, attention: nn.Module, maps: list[SiteMap]) -> Iterator[None]:
    """Append the features before and after each call of a module while the context is active."""
    given: list[Array] = []

    def before(module: nn.Module, args: tuple[Any, ...]) -> None:
        given.append(_features(path, args[0]))  # at once: a module may write into its input

    def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        maps.append(SiteMap(path, given.pop(), _features(path, output)))

    with attention.register_forward_pre_hook(before), attention.register_forward_hook(after):
        yield


def _features(path: str, value: Any) -> Array:
    """Return a copy of the features of one image, (C, h, w)."""
    if not isinstance(value, Tensor) or value.dim() != 4 or value.shape[0] != 1:
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise RequestError(
            f"{path}: features are not those of one image: got {shape}, expected (1, C, h, w)."
        )
    copied: Array = value[0].detach().to("cpu", torch.float64, copy=True).numpy()
    return copied
