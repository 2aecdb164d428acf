"""Efficient Multi-Scale Attention Module with Cross-Spatial Learning.

ICASSP 2023, https://arxiv.org/abs/2305.13563.
Original code: https://github.com/YOLOonMe/EMA-attention-module

The channels are cut into g groups of c = C/g; all groups go through the same layers, X is one:

    [ah; aw] = sigmoid(W1 [mean_W(X); mean_H(X)])              (c, H, 1), (c, 1, W)
    U = GN(X * ah * aw)                                        (c, H, W), each channel normalised
    V = f3x3(X)                                                (c, H, W)
    A = sigmoid(softmax(mean(U)) V + softmax(mean(V)) U)       (1, H, W), sums over the c channels
    Y = X * A                                                  (c, H, W)

The norm leaves each channel of U with the mean beta, its bias, whatever X is: the first softmax is
a learned constant, and is computed as one.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._norms import GroupNorm
from attnbench_modules._pooling import (
    channel_means,
    gated_by_groups,
    grouped,
    laid_out_as,
    strips,
)
from attnbench_modules._shared import check, largest_divisor, split_by, whole
from attnbench_modules.fused_ema import FusedEMA, gated_by_scores


class EMA(nn.Module):
    """Scale each group of channels by one map: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, groups: int | None = None) -> None:
        super().__init__()
        check(type(self), channels, groups=groups)
        self.groups = group_count(channels, groups)
        width = channels // self.groups
        self.norm = GroupNorm(width, width)
        self.conv1x1 = nn.Conv2d(width, width, 1)
        self.conv3x3 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Scale all groups: (B, C, H, W) -> (B, C, H, W)."""
        groups = grouped(x, self.groups)  # (Bg, c, H, W)
        scores = self.conv1x1(torch.cat(strips(groups), 2))  # (Bg, c, H + W, 1)
        near = self.norm(gated_by_scores(groups, scores))
        wide = self.conv3x3(groups)
        by_near = torch.softmax(self.norm.bias, 0).expand(groups.shape[0], 1, -1)  # (Bg, 1, c)
        by_wide = torch.softmax(channel_means(wide).flatten(1), 1).unsqueeze(1)
        planes = torch.bmm(by_near, wide.flatten(2)) + torch.bmm(by_wide, near.flatten(2))
        gate = laid_out_as(torch.sigmoid(planes).view(-1, self.groups, *x.shape[2:]), x)
        return gated_by_groups(x, gate)

    def fuse(self) -> FusedEMA:
        """Return the inference form: the same output, one plane of the 3x3 convolution."""
        return FusedEMA(self.groups, self.conv1x1, self.conv3x3, self.norm).eval()


def group_count(channels: int, groups: int | None = None) -> int:
    """Return g: as asked for, else the largest divisor of C up to 32."""
    return groups or largest_divisor(channels, 32)


def params(channels: int, *, groups: int | None = None, **_options: Any) -> int:
    """Return 10c^2 weights, 2c biases and 2c for the norm."""
    width = channels // group_count(channels, groups)
    return 10 * width**2 + 4 * width


def macs(
    channels: int, height: int, width: int, *, groups: int | None = None, **_options: Any
) -> int:
    """Return cC(H + W) + 9cCN for the convolutions, 2CN for the two weighted sums."""
    inner, positions = channels // group_count(channels, groups), height * width
    return channels * (inner * (height + width) + 9 * inner * positions + 2 * positions)


EMA.card = Card(
    title="Efficient multi-scale attention (EMA)",
    family="spatial",
    paper=Paper(
        key="ouyang2023efficient",
        title="Efficient Multi-Scale Attention Module with Cross-Spatial Learning",
        authors=(
            "Ouyang, Daliang",
            "He, Su",
            "Zhang, Guozhong",
            "Luo, Mingzhu",
            "Guo, Huaiyong",
            "Zhan, Jian",
            "Huang, Zhijie",
        ),
        venue="IEEE International Conference on Acoustics, Speech and Signal Processing (ICASSP)",
        short="Ouyang, ICASSP'23",
        year=2023,
        url="https://arxiv.org/abs/2305.13563",
    ),
    traits=Traits(subspace=True, conv1x1=True),
    options={"groups": "g, of C/g channels each; none = the largest divisor of C up to 32"},
    constraints=(whole("channels"), split_by("groups")),
    official={"mobilenet_v2": "after-depthwise:6-18", "*": "after-depthwise:all"},
    official_note=(
        "The original MobileNetV2 has it on the expanded channels, after the depthwise convolution "
        "with its norm and activation, where these are more than 144: in the blocks from layer 6 "
        "on. Our translation: the same place in every block of other networks."
    ),
    params=params,
    macs=macs,
    params_text="10c^2 + 4c, c = C/g",
    macs_text="cC(H + W) + 9cCN + 2CN, c = C/g",
    formula_tex=r"""z_h = \mathrm{mean}_W(X), \quad z_w = \mathrm{mean}_H(X)
\left[a_h; a_w\right] = \sigma\left(W_1 \left[z_h; z_w\right]\right)
U = \mathrm{GN}(a_h \odot a_w \odot X)
V = f^{3 \times 3}(X)
p = \mathrm{softmax}\left(\mathrm{mean}_{HW}(U)\right)
q = \mathrm{softmax}\left(\mathrm{mean}_{HW}(V)\right)
A = \sigma\left(p^T V + q^T U\right)
Y = A \odot X""",
    deviations=(
        "The original has 32 groups whatever the channels and fails where they do not divide C; "
        "groups=32 brings that back. Ports for detectors have 8.",
        "The original computes the mean of the normalised map, which is the norm's bias but for "
        "rounding; here it is the bias.",
    ),
    timm="timm has none.",
    traps=(
        "Up to 32 channels each group is one channel: both softmaxes are then over one value.",
        "The original's table has 306M multiply-adds for MobileNetV2 with it; with every group "
        "counted they are 436M.",
        "The first softmax does not see the map: at the start all channels of V weigh the same.",
    ),
    license="none given (YOLOonMe/EMA-attention-module)",
)
