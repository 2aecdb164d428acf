"""ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks.

CVPR 2020, https://arxiv.org/abs/1910.03151. Original code: https://github.com/BangguWu/ECANet

    z = mean over positions of x                               (B, C)
    s = sigmoid(conv_k(z))                                     (B, C), along the channels
    y = x * s                                                  (B, C, H, W)

conv_k is one 1-D convolution of k weights without bias over neighbouring channels. k grows with the
logarithm of the channels: t = floor((log2(C) + 1) / 2), and k is the odd one of t and t + 1.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Traits
from attnbench_modules import papers
from attnbench_modules._layers import along, line_conv
from attnbench_modules._pooling import channel_means
from attnbench_modules._shared import HALVES, check, odd, whole


class ECA(nn.Module):
    """Scale each channel by a gate computed from its neighbours: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, kernel_size: int | None = None) -> None:
        super().__init__()
        check(type(self), channels, kernel_size=kernel_size)
        taps = kernel_size or adaptive_kernel_size(channels)
        self.conv = line_conv(taps)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels: (B, C, H, W) -> (B, C, H, W)."""
        scores = along(self.conv, channel_means(x))  # (B, 1, C)
        gate = torch.sigmoid(scores).transpose(1, 2)  # (B, C, 1)
        return x * gate.unsqueeze(3)


def adaptive_kernel_size(channels: int) -> int:
    """Return k, odd, of the paper's equation 12 with gamma = 2 and b = 1."""
    t = int((math.log2(channels) + 1) / 2)
    return t if t % 2 else t + 1


def params(channels: int, *, kernel_size: int | None = None, **_options: Any) -> int:
    """Return k."""
    return kernel_size or adaptive_kernel_size(channels)


def macs(
    channels: int, height: int, width: int, *, kernel_size: int | None = None, **_options: Any
) -> int:
    """Return kC: one filter over C values, whatever the map's size."""
    return params(channels, kernel_size=kernel_size) * channels


ECA.card = Card(
    title="Efficient channel attention (ECA)",
    family="channel",
    paper=papers.ECA,
    traits=Traits(),
    options={"kernel_size": "k, odd; none = from the channels, as the paper does"},
    constraints=(
        whole("channels"),
        odd("kernel_size", "the gate would change its length"),
    ),
    official={"*": "after-project:all"},
    official_note=(
        "The original MobileNetV2 has it in every block, after the last pointwise convolution and "
        "its norm, with k = 1 below 96 channels and k = 3 from there on. Ours has the adaptive k."
    ),
    params=params,
    macs=macs,
    params_text="k, odd, about log2(C)/2",
    macs_text="kC",
    formula_tex=r"""s = \sigma\left(\mathrm{conv}_k\left(\mathrm{mean}_{HW}(x)\right)\right)
y = s \odot x""",
    deviations=(
        "The original class takes k, 3 unless told otherwise, and its networks hand one in; here "
        "the paper's equation is the default and kernel_size=3 brings the class's back.",
    ),
    timm="The same, but timm's k is at least 3: they differ below 8 channels only.",
    traps=(
        "Which channels are neighbours is an accident of training: a permutation of the channels "
        "changes the result.",
        HALVES,
    ),
    license="MIT (BangguWu/ECANet)",
)
