"""Squeeze-and-Excitation Networks.

CVPR 2018, https://arxiv.org/abs/1709.01507. Original code: https://github.com/hujie-frank/SENet

    z = mean(x)                                                (B, C, 1, 1), over positions
    s = sigmoid(W2 relu(W1 z))                                 (B, C, 1, 1), through h = C/r
    y = x * s                                                  (B, C, H, W)

W1 and W2 are 1x1 convolutions with bias, as in the original network definition.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, PrintedCost, Traits
from attnbench_modules import papers
from attnbench_modules._folding import linear
from attnbench_modules._pooling import channel_means
from attnbench_modules._shared import (
    AS_SE,
    AS_SE_NOTE,
    HALVES,
    PRINTED_SOURCE,
    SQUEEZE_NOTE,
    check,
    squeezed,
    whole,
)
from attnbench_modules.fused_se import FusedSE


class SE(nn.Module):
    """Scale each channel by a gate computed from all channels: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, reduction: int = 16, bias: bool = True) -> None:
        super().__init__()
        check(type(self), channels, reduction=reduction, bias=bias)
        hidden = squeezed(channels, reduction)
        self.squeeze = nn.Conv2d(channels, hidden, 1, bias=bias)
        self.relu = nn.ReLU()
        self.excite = nn.Conv2d(hidden, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels: (B, C, H, W) -> (B, C, H, W)."""
        return x * torch.sigmoid(self.excite(self.relu(self.squeeze(channel_means(x)))))

    def fuse(self) -> FusedSE:
        """Return the inference form: the same output, layers for vectors instead of 1x1 maps."""
        return FusedSE(linear(self.squeeze), linear(self.excite)).eval()


def params(channels: int, *, reduction: int = 16, bias: bool = True, **_options: Any) -> int:
    """Return 2Ch, and h + C for the biases."""
    hidden = squeezed(channels, reduction)
    return 2 * channels * hidden + (hidden + channels if bias else 0)


def macs(channels: int, height: int, width: int, *, reduction: int = 16, **_options: Any) -> int:
    """Return 2Ch: both layers see a 1x1 map."""
    return 2 * channels * squeezed(channels, reduction)


def _printed_params(channels: int, *, reduction: int = 16, **_options: Any) -> int:
    return 2 * channels**2 // reduction


def _printed_macs(
    channels: int, height: int, width: int, *, reduction: int = 16, **_options: Any
) -> int:
    return 2 * channels**2 // reduction


SE.card = Card(
    title="Squeeze-and-excitation (SE)",
    family="channel",
    paper=papers.SE,
    traits=Traits(mlp=True),
    options={
        "reduction": "channels over hidden channels",
        "bias": "biases in both layers",
    },
    constraints=(whole("channels"), whole("reduction")),
    official=AS_SE,
    official_note=(
        "The original puts it in every ResNet block, on the last convolution before the addition. "
        + AS_SE_NOTE
    ),
    params=params,
    macs=macs,
    params_text="2Ch + h + C, h = max(1, C//r); 2Ch without bias",
    macs_text="2Ch, h = max(1, C//r)",
    formula_tex=r"""z = \operatorname{mean}_{HW}(x)
s = \sigma\left(W_2\,\mathrm{ReLU}(W_1 z + b_1) + b_2\right)
y = s \odot x""",
    printed=PrintedCost(
        source=PRINTED_SOURCE,
        params_text="2m^2/r",
        macs_text="2m^2/r",
        params_tex=r"\frac{2m^2}{r}",
        macs_tex=r"\frac{2m^2}{r}",
        params=_printed_params,
        macs=_printed_macs,
        differences=("The printed parameters leave out the biases, C/r + C.",),
    ),
    deviations=(SQUEEZE_NOTE,),
    timm=(
        "In timm 1.0.31 se is the same function at another width: C/r is rounded to the nearest "
        "multiple of 8, at least 8 (64 channels: 8, ours 4; 160 channels: 8, ours 10). With "
        "rd_channels set to our width and the weights copied the outputs are equal."
    ),
    traps=(
        "Most PyTorch copies have no biases: bias=False.",
        "torchvision's MobileNetV3 builds its SE with r = 4, rounded to a multiple of 8, and a "
        "hard sigmoid: another size and another function.",
        HALVES,
    ),
    license="Apache-2.0 (hujie-frank/SENet)",
)
