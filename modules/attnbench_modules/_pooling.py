"""What the modules look at instead of the whole map: means, maxima, strips."""

from __future__ import annotations

import torch
from torch import Tensor


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
