"""Random weights for output checks: the initial weights of a network would hide errors.

After initialisation, a Non-local block is the identity (the scale of its last norm is zero), batch
norm has no effect, and the logits of a MobileNetV2 are 1e-9 for every image: an export could lose
such a part without a visible error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnbench.runtimes.sample_inputs import examples

if TYPE_CHECKING:
    from torch import Tensor

_NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.modules.instancenorm._InstanceNorm)
_IMAGES = 8


@torch.no_grad()
def randomize_weights(model: nn.Module, seed: int = 0, example: Tensor | None = None) -> nn.Module:
    """Set, in place, weights with which every part of a network affects its output.

    Norms get random affine parameters of moderate size; parameters that are all zero (biases,
    scales) get small random values; all other parameters keep their initial values. Batch norm
    statistics become those of photographs, slightly perturbed, as in a trained network: outputs
    stay finite and differ between images.

    Args:
        model: the network; its mode is kept.
        seed: the same seed gives the same values.
        example: (B, C, H, W), an input of the network; without it, statistics are drawn at random,
            and the biases of a deep network may exceed its signal.

    Returns:
        The same network.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, _NORMS) and getattr(module, "weight", None) is not None:
            _fill(module.weight, generator, mean=1.0, spread=0.15)
    for parameter in model.parameters():
        if parameter.is_floating_point() and not parameter.any():
            _fill(parameter, generator, mean=0.0, spread=0.1)
    if example is not None:
        _observe(model, torch.cat(examples(example[:1], _IMAGES, seed)))
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            _perturb(module, generator)
    return model


def _fill(tensor: Tensor, generator: torch.Generator, *, mean: float, spread: float) -> None:
    drawn = torch.randn(tensor.shape, generator=generator).clamp(-3, 3)
    tensor.copy_(mean + spread * drawn)


def _perturb(norm: _BatchNorm, generator: torch.Generator) -> None:
    if norm.running_mean is None or norm.running_var is None:
        return
    shift = torch.randn(norm.running_mean.shape, generator=generator).clamp(-3, 3)
    factor = 0.8 + 0.4 * torch.rand(norm.running_var.shape, generator=generator)
    norm.running_mean += 0.1 * shift.to(norm.running_mean) * norm.running_var.sqrt()
    norm.running_var *= factor.to(norm.running_var)


def _observe(model: nn.Module, images: Tensor) -> None:
    """Set the statistics of the batch norms to those of a forward pass."""
    like = next(model.parameters(), images)
    with _observing(model):
        model(images.to(like.device, like.dtype))


@contextmanager
def _observing(model: nn.Module) -> Iterator[None]:
    """Put batch norms, and no other module, into training mode with momentum 1 while entered."""
    modes = {module: module.training for module in model.modules()}
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes.items():
            module.training = mode  # not .train(): frozen submodules stay frozen
