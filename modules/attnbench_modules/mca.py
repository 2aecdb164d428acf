"""MCA: Multidimensional collaborative attention in deep convolutional neural networks for image
recognition.

Engineering Applications of Artificial Intelligence 126, 2023,
https://doi.org/10.1016/j.engappai.2023.107079. Original code: https://github.com/ndsclark/MCANet

Three gates, one along each direction, of the mean m and the standard deviation s over the other
two:

    gate(m, s) = sigmoid(conv_k((1/2 + a) m + (1/2 + b) s))    a, b = sigmoid of two weights
    Gc, Gh, Gw = gates of the channels, rows, columns          (B, C, 1, 1), (B, 1, H, 1), ...
    y = x * (Gc + Gh + Gw) / 3                                 (B, C, H, W)

conv_k is one 1-D convolution of k weights without bias along the direction: 3 for rows and columns,
for channels the odd one of t and t - 1, t = round((log2(C) - 1) / 1.5).
"""  # noqa: D205 - the title is longer than a line

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._layers import along, line_conv
from attnbench_modules._pooling import channel_means, column_means, root, row_means, variances
from attnbench_modules._shared import HALVES, check, odd, whole


class MCA(nn.Module):
    """Scale each value by the mean of three gates: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(
        self, channels: int, *, kernel_size: int | None = None, channel: bool = True
    ) -> None:
        super().__init__()
        check(type(self), channels, kernel_size=kernel_size, channel=channel)
        self.rows = Gate(3)
        self.columns = Gate(3)
        taps = kernel_size or channel_kernel_size(channels)
        self.channels = Gate(taps) if channel else None

    def forward(self, x: Tensor) -> Tensor:
        """Apply the gates: (B, C, H, W) -> (B, C, H, W)."""
        positions: Tensor = self.rows(x, plane_row_means) + self.columns(x, plane_column_means)
        if self.channels is None:
            return x * (positions / 2)
        # not x times the sum, which would be laid out in memory otherwise than x
        return torch.addcmul(x * (positions / 3), x, self.channels(x, channel_means) / 3)


class Gate(nn.Module):
    """One number from 0 to 1 for each slice of the map along one direction."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.conv = line_conv(kernel_size)
        self.weight = nn.Parameter(torch.rand(2))

    def forward(self, x: Tensor, pool: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the gate: (B, C, H, W) -> what ``pool`` gives, (B, C, 1, 1) or (B, 1, H, 1)."""
        means = pool(x)
        weights = torch.sigmoid(self.weight) + 0.5
        spread = root(variances((x - means).square(), pool))
        mixed = weights[0] * means + weights[1] * spread
        return torch.sigmoid(along(self.conv, mixed).view_as(means))


def plane_row_means(x: Tensor) -> Tensor:
    """Return the mean of each row over all channels: (B, C, H, W) -> (B, 1, H, 1)."""
    return row_means(x).mean(1, keepdim=True)


def plane_column_means(x: Tensor) -> Tensor:
    """Return the mean of each column over all channels: (B, C, H, W) -> (B, 1, 1, W)."""
    return column_means(x).mean(1, keepdim=True)


def channel_kernel_size(channels: int) -> int:
    """Return k along the channels, for lambda = 1.5 and gamma = 1; at least 1."""
    t = round(abs(math.log2(channels) - 1) / 1.5)
    return max(1, t if t % 2 else t - 1)


def params(
    channels: int, *, kernel_size: int | None = None, channel: bool = True, **_options: Any
) -> int:
    """Return 3 + 3 + k for the convolutions and 2 for the mix of each gate."""
    return 10 + (2 + (kernel_size or channel_kernel_size(channels)) if channel else 0)


def macs(
    channels: int,
    height: int,
    width: int,
    *,
    kernel_size: int | None = None,
    channel: bool = True,
    **_options: Any,
) -> int:
    """Return 3H + 3W + kC."""
    along = (kernel_size or channel_kernel_size(channels)) * channels if channel else 0
    return 3 * (height + width) + along


MCA.card = Card(
    title="Multidimensional collaborative attention (MCA)",
    family="mixed",
    paper=Paper(
        key="yu2023mca",
        title=(
            "MCA: Multidimensional collaborative attention in deep convolutional neural networks "
            "for image recognition"
        ),
        authors=("Yu, Yang", "Zhang, Yi", "Cheng, Zeyu", "Song, Zhe", "Tang, Chengkai"),
        venue="Engineering Applications of Artificial Intelligence 126",
        kind="article",
        short="Yu, EAAI'23",
        year=2023,
        url="https://doi.org/10.1016/j.engappai.2023.107079",
    ),
    traits=Traits(),
    options={
        "kernel_size": "k along the channels, odd; none = from the channels, as the paper does",
        "channel": "the gate along the channels; false = the original's no_spatial",
    },
    constraints=(whole("channels"), odd("kernel_size", "the gate would change its length")),
    official={"*": "after-project:all"},
    official_note=(
        "The original MobileNetV2, for CIFAR, has a place for it in every block, after the last "
        "pointwise convolution and its norm, with a switch that is off in the published file. Our "
        "translation: the same place, switched on, and in other networks as well."
    ),
    params=params,
    macs=macs,
    params_text="12 + k, k odd, about log2(C)/1.5",
    macs_text="3(H + W) + kC",
    formula_tex=r"""z = \left(\frac{1}{2} + a\right) m + \left(\frac{1}{2} + b\right) s
\mathrm{gate}(m, s) = \sigma\left(\mathrm{conv}_k(z)\right)
G_D = \mathrm{gate}_D(m_D, s_D), \quad D \in \{C, H, W\}
y = \frac{1}{3}\left(G_C + G_H + G_W\right) \odot x""",
    deviations=(
        "A standard deviation of one value is 0; the original's is not a number on a 1x1 map.",
        "k is at least 1; the original's rule gives -1 for 2 and 3 channels.",
    ),
    timm="timm has none.",
    traps=(
        "The original's no_spatial leaves out the gate along the channels.",
        "torch's standard deviation is slow on a CPU: as the original is written it takes most of "
        "the time.",
        HALVES,
    ),
    license="GPL-3.0 (ndsclark/MCANet)",
)
