"""What the modules look at instead of the whole map: means, maxima, strips."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def channel_means(x: Tensor) -> Tensor:
    """Return the mean of each channel over all positions: (B, C, H, W) -> (B, C, 1, 1)."""
    return x.mean((2, 3), keepdim=True)


def channel_maxima(x: Tensor) -> Tensor:
    """Return the largest value of each channel: (B, C, H, W) -> (B, C, 1, 1).

    Where several positions tie they share the gradient.
    """
    return x.amax((2, 3), keepdim=True)


def row_means(x: Tensor) -> Tensor:
    """Return the mean of each row: (B, C, H, W) -> (B, C, H, 1)."""
    return x.mean(3, keepdim=True)


def column_means(x: Tensor) -> Tensor:
    """Return the mean of each column: (B, C, H, W) -> (B, C, 1, W)."""
    return x.mean(2, keepdim=True)


def max_and_mean(x: Tensor) -> Tensor:
    """Return the maximum and the mean over the channels: (B, C, H, W) -> (B, 2, H, W).

    In this order, as CBAM and triplet attention stack them.
    """
    return torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], dim=1)


def channel_sums(x: Tensor) -> Tensor:
    """Return the sum of each channel over all positions: (B, C, H, W) -> (B, C, 1, 1).

    By way of the mean: runtimes for phones have a kernel for that, and none for the sum.
    """
    return channel_means(x) * float(x.shape[2] * x.shape[3])


def sample_variances(x: Tensor) -> Tensor:
    """Return the variance of each channel, over N - 1: (B, C, H, W) -> (B, C, 1, 1).

    0 where there is one position. In two plain passes: torch's own, which makes one careful pass,
    takes many times as long on a CPU.
    """
    others = max(1, x.shape[2] * x.shape[3] - 1)
    return channel_sums((x - channel_means(x)).square()) * (1 / others)


def local_means(x: Tensor, extent: int) -> Tensor:
    """Return means around every ``extent``-th position: (B, C, H, W) -> (B, C, H', W').

    Each is over (2 extent - 1)^2 positions, those beyond the border left out; H' = ceil(H/extent).
    """
    return F.avg_pool2d(x, 2 * extent - 1, extent, extent - 1, count_include_pad=False)


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return x as it is if of that size, else its means over a grid of ``size`` cells."""
    return x if x.shape[2:] == size else F.adaptive_avg_pool2d(x, size)
