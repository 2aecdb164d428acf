"""CBAM: Convolutional Block Attention Module.

ECCV 2018, https://arxiv.org/abs/1807.06521.
Original code: https://github.com/Jongchan/attention-module

First the channels, then the positions:

    Mc = sigmoid(MLP(mean(x)) + MLP(max(x)))                   (B, C, 1, 1), one MLP for both
    x' = x * Mc                                                (B, C, H, W)
    Ms = sigmoid(BN(f7x7([max_C(x'), mean_C(x')])))            (B, 1, H, W)
    y = x' * Ms                                                (B, C, H, W)
    MLP is two 1x1 convolutions with ReLU between them, through h = C/r channels.

As in the original code the MLP has biases; the 7x7 convolution has none, but a batch norm.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Constraint, PrintedCost, Traits
from attnbench_modules import papers
from attnbench_modules._folding import conv, folded, linear
from attnbench_modules._layers import bottleneck, plane_filter
from attnbench_modules._norms import BATCH_NORM_NOTE
from attnbench_modules._pooling import channel_maxima, channel_means, max_and_mean
from attnbench_modules._shared import (
    PRINTED_SOURCE,
    SQUEEZE_NOTE,
    TIES_NOTE,
    check,
    squeezed,
    whole,
)
from attnbench_modules.fused_cbam import FusedCBAM


class CBAM(nn.Module):
    """Gate the channels, then the positions: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(
        self, channels: int, *, reduction: int = 16, kernel_size: int = 7, bias: bool = True
    ) -> None:
        super().__init__()
        check(type(self), channels, reduction=reduction, kernel_size=kernel_size, bias=bias)
        hidden = squeezed(channels, reduction)
        self.mlp = bottleneck(channels, hidden, bias=bias)
        self.spatial = plane_filter(kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Apply both gates: (B, C, H, W) -> (B, C, H, W)."""
        x = x * torch.sigmoid(self.mlp(channel_means(x)) + self.mlp(channel_maxima(x)))
        return x * torch.sigmoid(self.spatial(max_and_mean(x)))

    def fuse(self) -> FusedCBAM:
        """Return the inference form: the same output, no batch norm, one MLP pass instead of two.

        Raises:
            TypeError: a layer is no longer the one that this class builds.
        """
        first, _, second = self.mlp
        return FusedCBAM(
            linear(conv(first)),
            linear(conv(second), times=2),
            folded(conv(self.spatial[0]), self.spatial[1]),
        ).eval()


def params(
    channels: int,
    *,
    reduction: int = 16,
    kernel_size: int = 7,
    bias: bool = True,
    **_options: Any,
) -> int:
    """Return 2Ch for the MLP, h + C for its biases, 2k^2 + 2 for the spatial gate."""
    hidden = squeezed(channels, reduction)
    mlp = 2 * channels * hidden + (hidden + channels if bias else 0)
    return mlp + 2 * kernel_size**2 + 2


def macs(
    channels: int,
    height: int,
    width: int,
    *,
    reduction: int = 16,
    kernel_size: int = 7,
    **_options: Any,
) -> int:
    """Return 4Ch + 2k^2 N: the MLP runs twice on a 1x1 map."""
    mlp = 2 * channels * squeezed(channels, reduction)
    return 2 * mlp + 2 * kernel_size**2 * height * width


def _printed_params(channels: int, *, reduction: int = 16, **_options: Any) -> int:
    return 2 * channels**2 // reduction + 98


def _printed_macs(
    channels: int, height: int, width: int, *, reduction: int = 16, **_options: Any
) -> int:
    return 2 * channels**2 // reduction + 98 * height * width


CBAM.card = Card(
    title="Convolutional block attention (CBAM)",
    family="mixed",
    paper=papers.CBAM,
    traits=Traits(mlp=True),
    options={
        "reduction": "channels over hidden channels of the MLP",
        "kernel_size": "k, of the spatial gate's convolution, odd",
        "bias": "biases in the MLP",
    },
    constraints=(
        whole("channels"),
        whole("reduction"),
        whole("kernel_size"),
        Constraint(
            "kernel_size must be odd, or the map would change its size",
            lambda channels, kernel_size=7, **_: kernel_size % 2 == 1,
        ),
    ),
    official={"*": "after-project:all"},
    official_note=(
        "The original puts it in every ResNet block, before the addition. Our translation: after "
        "the last pointwise convolution of every MobileNet block."
    ),
    params=params,
    macs=macs,
    params_text="2Ch + h + C + 2k^2 + 2, h = max(1, C//r); h + C less without bias",
    macs_text="4Ch + 2k^2 N, h = max(1, C//r)",
    formula_tex=r"""a = \operatorname{mean}_{HW}(x), \quad m = \operatorname{max}_{HW}(x)
M_c = \sigma\left(\mathrm{MLP}(a) + \mathrm{MLP}(m)\right)
x' = M_c \odot x
S = [\operatorname{max}_C(x'), \operatorname{mean}_C(x')]
M_s = \sigma\left(\mathrm{BN}(f^{7 \times 7}(S))\right)
y = M_s \odot x'""",
    printed=PrintedCost(
        source=PRINTED_SOURCE,
        params_text="2m^2/r + 98",
        macs_text="2m^2/r + 98*h*w",
        params_tex=r"\frac{2m^2}{r} + 98",
        macs_tex=r"\frac{2m^2}{r} + 98hw",
        params=_printed_params,
        macs=_printed_macs,
        differences=(
            "The printed parameters leave out the MLP's biases (C/r + C) and the batch norm (2).",
            "The MLP runs on the average and on the maximum, 4m^2/r multiply-adds; the printed "
            "formula counts it once.",
        ),
    ),
    deviations=(
        BATCH_NORM_NOTE,
        TIES_NOTE,
        SQUEEZE_NOTE,
    ),
    timm=(
        "In timm 1.0.31 cbam has no biases in the MLP (mlp_bias=True brings them), stacks mean "
        "before max, rounds C/r to the nearest number where ours rounds down (24 channels: 2, "
        "ours 1), and its batch norm has a momentum of 0.1 where the original and ours have 0.01. "
        "With mlp_bias=True, the same width and the weights copied, the two input channels of the "
        "7x7 kernel swapped, the outputs are equal."
    ),
    traps=("At the start it scales x to well under one half, so it disturbs pretrained weights.",),
    license="MIT (Jongchan/attention-module)",
)
