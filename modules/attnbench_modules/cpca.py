"""Channel prior convolutional attention for medical image segmentation.

arXiv 2023, https://arxiv.org/abs/2306.05196.
Original code: https://github.com/Cuthbert-Huang/CPCANet

A block that ends in attention, with h = C/r hidden channels; W is one 1x1 convolution, used thrice:

    u = GELU(W x)                                              (B, C, H, W)
    u' = u * (sigmoid(MLP(mean(u))) + sigmoid(MLP(max(u))))    (B, C, H, W), times 0 to 2
    s = f5x5(u')                                               (B, C, H, W), depthwise, as all here
    y = W (u' * W (s + f7(s) + f11(s) + f21(s)))               (B, C, H, W)

fk is a 1 x k and then a k x 1 convolution. All convolutions have biases.

What comes out is not x scaled: it stands for x where it is put, without a shortcut around it.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._folding import conv, copied, linear
from attnbench_modules._layers import MultiScale, bottleneck
from attnbench_modules._pooling import channel_maxima, channel_means
from attnbench_modules._shared import SQUEEZE_NOTE, TIES_NOTE, check, squeezed, whole
from attnbench_modules.fused_cpca import FusedCPCA


class CPCA(nn.Module):
    """Mix, weigh channels, then values at four scales: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, reduction: int = 4) -> None:
        super().__init__()
        check(type(self), channels, reduction=reduction)
        self.mlp = bottleneck(channels, squeezed(channels, reduction))
        self.scales = MultiScale(channels)
        self.conv = nn.Conv2d(channels, channels, 1)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """Mix and weigh: (B, C, H, W) -> (B, C, H, W)."""
        x = self.act(self.conv(x))
        prior = torch.sigmoid(self.mlp(channel_means(x))) + torch.sigmoid(
            self.mlp(channel_maxima(x))
        )
        x = x * prior
        y: Tensor = self.conv(x * self.conv(self.scales(x)))
        return y

    def fuse(self) -> FusedCPCA:
        """Return the inference form: the same output, channels last inside.

        Raises:
            TypeError: a layer is no longer the one that this class builds.
        """
        first, second = (linear(conv(self.mlp[i])) for i in (0, 2))
        scales = copy.deepcopy(self.scales).requires_grad_(False)
        return FusedCPCA(first, second, scales, copied(self.conv)).eval()


def params(channels: int, *, reduction: int = 4, **_options: Any) -> int:
    """Return C^2 + C for W, 2Ch + h + C for the MLP, 110C for the depthwise convolutions."""
    hidden = squeezed(channels, reduction)
    return channels**2 + 2 * channels * hidden + hidden + 112 * channels


def macs(channels: int, height: int, width: int, *, reduction: int = 4, **_options: Any) -> int:
    """Return 3C^2 N + 103CN + 4Ch: W runs three times, the MLP twice on a 1x1 map."""
    positions = height * width
    mlp = 4 * channels * squeezed(channels, reduction)
    return 3 * channels**2 * positions + 103 * channels * positions + mlp


CPCA.card = Card(
    title="Channel prior convolutional attention (CPCA)",
    family="large-kernel",
    paper=Paper(
        key="huang2023channel",
        title="Channel prior convolutional attention for medical image segmentation",
        authors=("Huang, Hejun", "Chen, Zuguo", "Zou, Ying", "Lu, Ming", "Chen, Chaoyang"),
        venue="arXiv preprint arXiv:2306.05196",
        kind="article",
        short="Huang, arXiv'23",
        year=2023,
        url="https://arxiv.org/abs/2306.05196",
    ),
    traits=Traits(mlp=True, conv1x1=True),
    options={"reduction": "r, channels over hidden channels of the MLP"},
    constraints=(whole("channels"), whole("reduction")),
    official={"*": "after-project:all"},
    official_note=(
        "The original is a network of its own for segmentation, built of these blocks. Our "
        "translation: after the last pointwise convolution of every MobileNet block, where "
        "modules that look at the finished block go."
    ),
    params=params,
    macs=macs,
    params_text="C^2 + 2Ch + h + 112C, h = max(1, C//r)",
    macs_text="3C^2 N + 103CN + 4Ch, h = max(1, C//r)",
    formula_tex=r"""u = \mathrm{GELU}(W x)
a = \mathrm{mean}_{HW}(u), \quad m = \mathrm{max}_{HW}(u)
u' = \left(\sigma\left(\mathrm{MLP}(a)\right) + \sigma\left(\mathrm{MLP}(m)\right)\right) \odot u
s = f^{5 \times 5}(u')
y = W\left(u' \odot W\left(s + f_7(s) + f_{11}(s) + f_{21}(s)\right)\right)""",
    deviations=(
        TIES_NOTE,
        SQUEEZE_NOTE,
    ),
    timm="timm has none.",
    traps=(
        "One 1x1 convolution is used three times, with the same weights: a copy with three of them "
        "has 2C^2 + 2C parameters more.",
        "It is a block with weights of its own around x, not a gate: inserted into a pretrained "
        "network it replaces what went through.",
        "Heavy: on 512 channels half of its multiply-adds are in that convolution alone.",
    ),
    license="Apache-2.0 (Cuthbert-Huang/CPCANet)",
)
