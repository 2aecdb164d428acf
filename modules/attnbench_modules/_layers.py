"""Layers that several modules have."""

from __future__ import annotations

from torch import Tensor, nn

from attnbench_modules._norms import BatchNorm


def plane_filter(kernel_size: int) -> nn.Sequential:
    """Return the k x k convolution, 2 to 1 channel, and the norm of a gate over a plane.

    It reads a maximum and a mean: CBAM's spatial gate, triplet attention's three gates.
    """
    return nn.Sequential(
        nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False),
        BatchNorm(1, momentum=0.01),
    )


def depthwise(
    channels: int, kernel_size: tuple[int, int], *, dilation: int = 1, bias: bool = True
) -> nn.Conv2d:
    """Return a depthwise convolution of an odd kernel that keeps the map's size."""
    padding = (kernel_size[0] // 2 * dilation, kernel_size[1] // 2 * dilation)
    return nn.Conv2d(
        channels,
        channels,
        kernel_size,
        padding=padding,
        dilation=dilation,
        groups=channels,
        bias=bias,
    )


def strip_conv(channels: int, kernel_size: int, *, bias: bool = False) -> nn.Conv2d:
    """Return a depthwise convolution of k taps along upright strips: (B, C, L, 1) -> the same."""
    return depthwise(channels, (kernel_size, 1), bias=bias)


def line_conv(kernel_size: int) -> nn.Conv1d:
    """Return one filter of k taps along a line of numbers, as ECA's: (B, 1, L) -> (B, 1, L)."""
    return nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)


def along(line: nn.Conv1d, x: Tensor) -> Tensor:
    """Return what one filter makes of all numbers of an image in a row: (B, ...) -> (B, 1, L)."""
    filtered: Tensor = line(x.flatten(1).unsqueeze(1))
    return filtered


def bottleneck(channels: int, hidden: int, *, bias: bool = True) -> nn.Sequential:
    """Return SE's two 1x1 convolutions with ReLU between them: (B, C, H, W) -> the same."""
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 1, bias=bias),
        nn.ReLU(),
        nn.Conv2d(hidden, channels, 1, bias=bias),
    )


def strip_pair(channels: int, taps: int, *, dilation: int = 1) -> nn.Sequential:
    """Return a depthwise 1 x k and a depthwise k x 1 convolution."""
    return nn.Sequential(
        depthwise(channels, (1, taps), dilation=dilation),
        depthwise(channels, (taps, 1), dilation=dilation),
    )


class MultiScale(nn.Module):
    """Sum of a depthwise 5x5 convolution and what strips of 7, 11 and 21 make of it.

    SegNeXt's, which CPCA has taken over: (B, C, H, W) -> (B, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.square = depthwise(channels, (5, 5))
        self.strips = nn.ModuleList(strip_pair(channels, taps) for taps in (7, 11, 21))

    def forward(self, x: Tensor) -> Tensor:
        """Return s + f7(s) + f11(s) + f21(s) for s = f5x5(x)."""
        square: Tensor = self.square(x)
        scales = square
        for strip in self.strips:
            scales = scales + strip(square)
        return scales
