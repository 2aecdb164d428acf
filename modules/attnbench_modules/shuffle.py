"""SA-Net: Shuffle Attention for Deep Convolutional Neural Networks.

ICASSP 2021, https://arxiv.org/abs/2102.00240. Original code: https://github.com/wofmanaf/SA-Net

The channels are cut into G groups, and each group into two halves of c = C/2G channels. Every group
has the same parameters, of one number a channel:

    y1 = x1 * sigmoid(w mean(x1) + b)                          (B, c, H, W), one gate a channel
    y2 = x2 * sigmoid(w' GN(x2) + b')                          (B, c, H, W), one gate a value
    y = shuffle([y1; y2] of all groups)                        (B, C, H, W)

GN normalises each channel by itself. The shuffle lets the first C/2 and the last C/2 channels
alternate.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._norms import GroupNorm
from attnbench_modules._pooling import channel_means, grouped, laid_out_as
from attnbench_modules._shared import check, even, largest_divisor, split_by, whole


class ShuffleAttention(nn.Module):
    """Gate channels and values, then shuffle: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, groups: int | None = None) -> None:
        super().__init__()
        check(type(self), channels, groups=groups)
        self.groups = group_count(channels, groups)
        width = channels // (2 * self.groups)
        self.channel_weight = nn.Parameter(torch.zeros(width, 1, 1))
        self.channel_bias = nn.Parameter(torch.ones(width, 1, 1))
        self.spatial_weight = nn.Parameter(torch.zeros(width, 1, 1))
        self.spatial_bias = nn.Parameter(torch.ones(width, 1, 1))
        self.norm = GroupNorm(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Gate and shuffle: (B, C, H, W) -> (B, C, H, W)."""
        first, second = grouped(x, self.groups).chunk(2, 1)  # (BG, c, H, W) both
        level = self.channel_weight * channel_means(first) + self.channel_bias
        values = self.spatial_weight * self.norm(second) + self.spatial_bias
        y = torch.cat([first * torch.sigmoid(level), second * torch.sigmoid(values)], 1)
        return torch.channel_shuffle(laid_out_as(y.view(x.shape), x), 2)


def group_count(channels: int, groups: int | None = None) -> int:
    """Return G: as asked for, else the largest up to 64 that cuts C into pairs of halves."""
    return groups or largest_divisor(channels // 2, 64)


def params(channels: int, *, groups: int | None = None, **_options: Any) -> int:
    """Return 6c = 3C/G: weight and bias of both gates and of the norm."""
    return 3 * channels // group_count(channels, groups)


def macs(channels: int, height: int, width: int, **_options: Any) -> int:
    """Return 0: there is no convolution and no product of matrices."""
    return 0


ShuffleAttention.card = Card(
    title="Shuffle attention (SA-Net)",
    family="mixed",
    paper=Paper(
        key="zhang2021sanet",
        title="SA-Net: Shuffle Attention for Deep Convolutional Neural Networks",
        authors=("Zhang, Qing-Long", "Yang, Yu-Bin"),
        venue="IEEE International Conference on Acoustics, Speech and Signal Processing (ICASSP)",
        short="Zhang, ICASSP'21",
        year=2021,
        url="https://arxiv.org/abs/2102.00240",
    ),
    traits=Traits(subspace=True),
    options={"groups": "G; none = the largest up to 64 that divides C/2"},
    constraints=(whole("channels"), even("channels"), split_by("groups", 2)),
    official={"*": "after-project:all"},
    official_note=(
        "The original puts it in every ResNet block, after the last convolution and its norm, "
        "before the addition. Our translation: after the last pointwise convolution of every "
        "MobileNet block."
    ),
    params=params,
    macs=macs,
    params_text="3C/G",
    macs_text="0",
    formula_tex=r"""y_1 = \sigma\left(w\,\mathrm{mean}_{HW}(x_1) + b\right) \odot x_1
y_2 = \sigma\left(w'\,\mathrm{GN}(x_2) + b'\right) \odot x_2
y = \mathrm{shuffle}\left(\left[y_1; y_2\right]\right)""",
    deviations=(
        "The original has 64 groups whatever the channels and fails where 128 does not divide C; "
        "groups=64 brings that back.",
    ),
    timm="timm has none.",
    traps=(
        "It permutes the channels: before an addition they no longer fit those of the shortcut, "
        "and pretrained weights behind it see the wrong ones.",
        "The gates' weights start at 0, and until they move the norm has no gradient.",
        "Up to 128 channels, and with C/2 groups, all channels of a half share one gate's weights.",
    ),
    license="none given (wofmanaf/SA-Net)",
)
