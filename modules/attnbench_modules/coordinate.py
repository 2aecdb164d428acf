"""Coordinate Attention for Efficient Mobile Network Design.

CVPR 2021, https://arxiv.org/abs/2103.02907. Original code: https://github.com/houqb/CoordAttention

One gate for the rows and one for the columns, through h = max(8, C // r) shared channels:

    zh, zw = means of the rows, of the columns of x            (B, C, H, 1), (B, C, W, 1)
    f = hswish(BN(W1 [zh; zw]))                                (B, h, H + W, 1)
    gh, gw = sigmoid(Wh fh), sigmoid(Ww fw)                    (B, C, H, 1), (B, C, 1, W)
    y = x * gh * gw                                            (B, C, H, W)

The three 1x1 convolutions have biases.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Traits
from attnbench_modules import papers
from attnbench_modules._folding import folded
from attnbench_modules._pooling import gated_by_strips, strips
from attnbench_modules._shared import BEFORE_NORM, IN_PLACE_OF_SE, QUARTERS, check, squeezed, whole
from attnbench_modules.fused_coordinate import FusedCoordinate


class CoordinateAttention(nn.Module):
    """Gate each channel's rows and columns: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, reduction: int = 32) -> None:
        super().__init__()
        check(type(self), channels, reduction=reduction)
        hidden = hidden_channels(channels, reduction)
        self.conv1 = nn.Conv2d(channels, hidden, 1)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.act = nn.Hardswish()
        self.conv_h = nn.Conv2d(hidden, channels, 1)
        self.conv_w = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Gate rows and columns: (B, C, H, W) -> (B, C, H, W)."""
        means = torch.cat(strips(x), 2)  # (B, C, H + W, 1)
        shared = self.act(self.bn1(self.conv1(means)))
        rows, columns = torch.split(shared, list(x.shape[2:]), 2)
        return gated_by_strips(x, self.conv_h(rows), self.conv_w(columns))

    def fuse(self) -> FusedCoordinate:
        """Return the inference form: the same output, the batch norm in the convolution."""
        unchanged = nn.Identity()
        return FusedCoordinate(
            folded(self.conv1, self.bn1),
            folded(self.conv_h, unchanged),
            folded(self.conv_w, unchanged),
        ).eval()


def hidden_channels(channels: int, reduction: int) -> int:
    """Return h."""
    return squeezed(channels, reduction, minimum=8)


def params(channels: int, *, reduction: int = 32, **_options: Any) -> int:
    """Return 3Ch weights, h + 2C biases and 2h for the batch norm."""
    hidden = hidden_channels(channels, reduction)
    return 3 * channels * hidden + 3 * hidden + 2 * channels


def macs(channels: int, height: int, width: int, *, reduction: int = 32, **_options: Any) -> int:
    """Return 2Ch(H + W): the strips pass one layer together and one each."""
    return 2 * channels * hidden_channels(channels, reduction) * (height + width)


CoordinateAttention.card = Card(
    title="Coordinate attention",
    family="mixed",
    paper=papers.COORDINATE,
    traits=Traits(conv1x1=True),
    options={"reduction": "r, channels over shared channels; never fewer than 8 of these"},
    constraints=(whole("channels"), whole("reduction")),
    official={
        "mobilenet_v2": "after-depthwise:3-18",
        **IN_PLACE_OF_SE,
        "*": "after-depthwise:all",
    },
    official_note=(
        "The original MobileNetV2 has it on the expanded channels, after the depthwise convolution "
        "with its norm and activation, in every block but the first, which expands nothing. Our "
        "translation: the same place in other networks; in MobileNetV3, in place of its SE."
    ),
    params=params,
    macs=macs,
    params_text="3Ch + 3h + 2C, h = max(8, C//r)",
    macs_text="2Ch(H + W), h = max(8, C//r)",
    formula_tex=r"""z_h = \mathrm{mean}_W(x), \quad z_w = \mathrm{mean}_H(x)
f = \mathrm{hswish}\left(\mathrm{BN}\left(W_1 \left[z_h; z_w\right]\right)\right)
g_h = \sigma(W_h f_h), \quad g_w = \sigma(W_w f_w)
y = g_h \odot g_w \odot x""",
    timm=(
        "The same structure, but timm's has no biases and C/24 hidden channels in multiples of 8; "
        "with bias=True and rd_channels=h it is equal."
    ),
    dead={"conv1.bias": BEFORE_NORM},
    traps=(
        "Below 256 channels the 8 hidden channels weigh more than r says.",
        QUARTERS,
    ),
    license="MIT (houqb/CoordAttention)",
)
