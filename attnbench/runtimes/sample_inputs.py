"""Inputs and weights for output checks: photographs, and random weights.

scikit-learn ships the photographs (``load_sample_images``): a temple and a flower, 427x640. The
initial weights of a network would hide errors: a Non-local block is the identity (the scale of its
last norm is zero), batch norm has no effect, and the logits of a MobileNetV2 are 1e-9 for every
image, so that an export could lose such a part without a visible error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.modules.batchnorm import _BatchNorm

_SMALLEST = 0.25
"""Smallest side of a crop, as a share of the photograph's shorter side."""
_NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.modules.instancenorm._InstanceNorm)
_IMAGES = 8


def examples(example: Tensor, count: int, seed: int = 0) -> list[Tensor]:
    """Return inputs of an example's shape, identical at every call.

    Args:
        example: (B, C, H, W). With three channels the inputs are photographs, otherwise (the
            feature map of a module alone) normally distributed maps.
        count: the total number of images; rounded up to whole batches.
        seed: the random seed.
    """
    batch = example.shape[0]
    total = -(-count // batch) * batch
    if example.dim() == 4 and example.shape[1] == 3:
        images = photos(total, (example.shape[2], example.shape[3]), seed)
    else:
        generator = torch.Generator().manual_seed(seed)
        images = torch.randn(total, *example.shape[1:], generator=generator)
    return [images[start : start + batch] for start in range(0, total, batch)]


def calibration_inputs(example: Tensor) -> list[Tensor]:
    """Return the inputs on which the activation ranges of int8 are observed."""
    return examples(example, 16, seed=1)  # the inputs of the check have another seed


def photos(count: int, size: tuple[int, int], seed: int = 0) -> Tensor:
    """Return random crops of the photographs, (count, 3, h, w), normalized as for ImageNet."""
    generator = torch.Generator().manual_seed(seed)
    whole = _photographs()
    crops = [_crop(whole[number % len(whole)], size, generator) for number in range(count)]
    mean = torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
    std = torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)
    return (torch.stack(crops) - mean) / std


def _crop(photo: Tensor, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    height, width = photo.shape[1:]
    share, down, right, flip = torch.rand(4, generator=generator).tolist()
    side = int(min(height, width) * (_SMALLEST + (1 - _SMALLEST) * share))
    top, left = int(down * (height - side)), int(right * (width - side))
    crop = photo[:, top : top + side, left : left + side]
    scaled = interpolate(crop[None], size, mode="bilinear", antialias=True, align_corners=False)[0]
    return scaled.flip(2) if flip < 0.5 else scaled


@cache
def _photographs() -> tuple[Tensor, ...]:
    """Return the photographs, (3, 427, 640) each, from 0 to 1."""
    import numpy as np
    from PIL import Image

    # read as files: sklearn.datasets takes a second to import, in each process that times
    (package,) = find_spec("sklearn").submodule_search_locations  # type: ignore[union-attr,misc]
    images = [
        np.array(Image.open(Path(package, "datasets/images", name)))
        for name in ("china.jpg", "flower.jpg")
    ]
    return tuple(torch.from_numpy(image).permute(2, 0, 1).float() / 255 for image in images)


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
        images = torch.cat(examples(example[:1], _IMAGES, seed))
        like = next(model.parameters(), images)
        with _observe(model):
            model(images.to(like.device, like.dtype))
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


@contextmanager
def _observe(model: nn.Module) -> Iterator[None]:
    """Put batch norms, and no other module, into training mode with momentum 1 while entered."""
    modes = {module: module.training for module in model.modules()}
    momenta = {module: module.momentum for module in modes if isinstance(module, _BatchNorm)}
    model.eval()
    for norm in momenta:
        norm.train()
        norm.momentum = 1.0
    try:
        yield
    finally:
        for norm, momentum in momenta.items():
            norm.momentum = momentum
        for module, mode in modes.items():
            module.training = mode  # not .train(): frozen submodules stay frozen
