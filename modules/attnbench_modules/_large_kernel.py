"""What the gates of large depthwise kernels share: LKA, LSKA, MSCA and LSK."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnbench_modules._folding import copied, traced

GATE_NOTE = (
    "The gate alone: the block of the original, with a 1x1 convolution and GELU before it, another "
    "1x1 after it and a shortcut around, has 2C^2 + 2C parameters more."
)
START_NOTE = (
    "The weights start as torch's convolutions do; the original network draws its own, with a "
    "deviation of sqrt(2/fan-out) and biases of 0."
)
NO_SIGMOID_TRAP = (
    "There is no sigmoid: the gate takes any value of either sign, and at the start it is near 0, "
    "so that almost nothing of x comes through. It needs a shortcut around it."
)
PLACE_NOTE = (
    "in each block the gate stands between two 1x1 convolutions that keep the channels. Our "
    "translation: after the last pointwise convolution of every MobileNet block, without those two."
)


def workable(x: Tensor) -> Tensor:
    """Return x in the memory layout whose depthwise convolutions are fast on a CPU.

    Channels last a strip of 21 along the rows takes a fifteenth of the time on 512x14x14 and a
    sixth on 96x14x14, other kernels two thirds. Where other runtimes or a GPU run them, x stays as
    it is.
    """
    plainly = traced() or not x.is_cpu
    return x if plainly else x.contiguous(memory_format=torch.channels_last)


def quick(layer: nn.Conv2d) -> nn.Module:
    """Return a frozen depthwise convolution that does what ``layer`` does, on workable maps."""
    along_rows = layer.kernel_size[1] > 1 and layer.dilation[1] > 1
    return PaddedRows(copied(layer)) if along_rows else copied(layer)


class PaddedRows(nn.Module):
    """A dilated convolution that finds the zeros beside its rows in the map: -> (B, C, H, W).

    Padding by more than the few columns that a CPU's code computes at once sends torch to code
    that takes ten times as long: 2.3 instead of 0.24 ms for LKA's 7x7 on 512x14x14.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        """Take the convolution, which keeps the map's size."""
        super().__init__()
        self.layer = layer
        sides = zip(layer.kernel_size, layer.dilation, strict=True)
        self.above, self.beside = (taps // 2 * step for taps, step in sides)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve: (B, C, H, W) -> (B, C, H, W)."""
        layer = self.layer
        if traced() or not x.is_cpu:
            return cast("Tensor", layer(x))
        return F.conv2d(
            F.pad(x, (self.beside, self.beside)),
            layer.weight,
            layer.bias,
            padding=(self.above, 0),
            dilation=layer.dilation,
            groups=layer.groups,
        )
