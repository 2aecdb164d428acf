"""Layers that several modules have."""

from __future__ import annotations

from torch import nn

from attnbench_modules._norms import BatchNorm


def plane_filter(kernel_size: int) -> nn.Sequential:
    """Return the k x k convolution, 2 to 1 channel, and the norm of a gate over a plane.

    It reads a maximum and a mean: CBAM's spatial gate, triplet attention's three gates.
    """
    return nn.Sequential(
        nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False),
        BatchNorm(1, momentum=0.01),
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


def line_conv(kernel_size: int) -> nn.Conv1d:
    """Return one filter of k taps along a line of numbers, as ECA's: (B, 1, L) -> (B, 1, L)."""
    return nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)


def bottleneck(channels: int, hidden: int, *, bias: bool = True) -> nn.Sequential:
    """Return SE's two 1x1 convolutions with ReLU between them: (B, C, H, W) -> the same."""
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 1, bias=bias),
        nn.ReLU(),
        nn.Conv2d(hidden, channels, 1, bias=bias),
    )
