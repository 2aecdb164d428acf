"""Layers that several modules have."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GroupNorm(nn.GroupNorm):
    """torch's group norm, but of a single value it is the bias, where torch's refuses one.

    A group of one channel has a single value on a 1x1 map.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each group of channels of each image: (B, C, ...) -> (B, C, ...)."""
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


def plane_filter(kernel_size: int) -> nn.Sequential:
    """Return the k x k convolution, 2 to 1 channel, and the norm of a gate over a plane.

    It reads a maximum and a mean: CBAM's spatial gate, triplet attention's three gates.
    """
    return nn.Sequential(
        nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(1, momentum=0.01),
    )


def strip_conv(channels: int, kernel_size: int, *, bias: bool = False) -> nn.Conv2d:
    """Return a depthwise convolution of k taps along upright strips: (B, C, L, 1) -> the same."""
    return nn.Conv2d(
        channels,
        channels,
        (kernel_size, 1),
        padding=(kernel_size // 2, 0),
        groups=channels,
        bias=bias,
    )
