"""Realistic network inputs: crops of two photographs, from embedded data.

scikit-learn ships the photographs (``load_sample_images``): a temple and a flower, 427x640.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_SMALLEST = 0.25
"""Smallest side of a crop, as a share of the photograph's shorter side."""


def examples(example: Tensor, count: int, seed: int = 0) -> list[Tensor]:
    """Return inputs of an example's shape, identical at every call.

    Args:
        example: (B, C, H, W). With three channels the inputs are photographs, otherwise (the
            feature map of a module alone) normally distributed maps.
        count: the total number of images; rounded up to whole batches.
        seed: the random seed.
    """
    import torch

    batch = example.shape[0]
    batches = -(-count // batch)
    if example.dim() == 4 and example.shape[1] == 3:
        images = photos(batches * batch, (example.shape[2], example.shape[3]), seed)
    else:
        generator = torch.Generator().manual_seed(seed)
        images = torch.randn(batches * batch, *example.shape[1:], generator=generator)
    return [images[start : start + batch] for start in range(0, len(images), batch)]


def photos(count: int, size: tuple[int, int], seed: int = 0) -> Tensor:
    """Return random crops of the photographs, (count, 3, h, w), normalised as for ImageNet."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    whole = _photographs()
    crops = [_crop(whole[number % len(whole)], size, generator) for number in range(count)]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (_MEAN, _STD))
    return (torch.stack(crops) - mean) / std


def _crop(photo: Tensor, size: tuple[int, int], generator: object) -> Tensor:
    import torch
    from torch.nn.functional import interpolate

    height, width = photo.shape[1:]
    share, down, right, flip = torch.rand(4, generator=generator).tolist()  # type: ignore[call-overload]
    side = int(min(height, width) * (_SMALLEST + (1 - _SMALLEST) * share))
    top, left = int(down * (height - side)), int(right * (width - side))
    crop = photo[:, top : top + side, left : left + side]
    scaled = interpolate(crop[None], size, mode="bilinear", antialias=True, align_corners=False)[0]
    return scaled.flip(2) if flip < 0.5 else scaled


@cache
def _photographs() -> tuple[Tensor, ...]:
    """Return the photographs, (3, 427, 640) each, from 0 to 1."""
    import torch
    from sklearn.datasets import load_sample_images

    return tuple(
        torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255
        for image in load_sample_images().images
    )
