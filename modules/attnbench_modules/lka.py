"""Visual Attention Network.

Computational Visual Media 2023, https://arxiv.org/abs/2202.09741.
Original code: https://github.com/Visual-Attention-Network/VAN-Classification

Large kernel attention: a 21x21 convolution taken apart into a near one, a far one and one across
the channels; f are depthwise:

    s = f7x7 dilated by 3 (f5x5(x))                            (B, C, H, W)
    y = x * (W s)                                              (B, C, H, W)

All three have biases. The gate is no share from 0 to 1: there is no sigmoid, it takes any value of
either sign. This is the gate alone; in the network it stands between two 1x1 convolutions with a
shortcut around all.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._folding import copied
from attnbench_modules._large_kernel import (
    GATE_NOTE,
    NO_SIGMOID_TRAP,
    PLACE_NOTE,
    START_NOTE,
    quick,
)
from attnbench_modules._layers import depthwise
from attnbench_modules._shared import check, whole
from attnbench_modules.fused_large_kernel import FusedLargeKernel


class LKA(nn.Module):
    """Scale each value by what surrounds it far and near: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int) -> None:
        super().__init__()
        check(type(self), channels)
        self.near = depthwise(channels, (5, 5))
        self.far = depthwise(channels, (7, 7), dilation=3)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scale each value: (B, C, H, W) -> (B, C, H, W)."""
        gate: Tensor = self.mix(self.far(self.near(x)))
        return x * gate

    def fuse(self) -> FusedLargeKernel:
        """Return the inference form: the same output, convolutions where they are fast."""
        surroundings = nn.Sequential(quick(self.near), quick(self.far))
        return FusedLargeKernel(surroundings, copied(self.mix)).eval()


def params(channels: int, **_options: Any) -> int:
    """Return C^2 + 77C: (25 + 49)C weights of the depthwise ones, C^2 of W, and 3C biases."""
    return channels**2 + 77 * channels


def macs(channels: int, height: int, width: int, **_options: Any) -> int:
    """Return (C^2 + 74C)N."""
    return (channels**2 + 74 * channels) * height * width


LKA.card = Card(
    title="Large kernel attention (LKA)",
    family="large-kernel",
    paper=Paper(
        key="guo2023visual",
        title="Visual Attention Network",
        authors=(
            "Guo, Meng-Hao",
            "Lu, Cheng-Ze",
            "Liu, Zheng-Ning",
            "Cheng, Ming-Ming",
            "Hu, Shi-Min",
        ),
        venue="Computational Visual Media",
        kind="article",
        short="Guo, CVMJ'23",
        year=2023,
        url="https://arxiv.org/abs/2202.09741",
    ),
    traits=Traits(conv1x1=True),
    constraints=(whole("channels"),),
    official={"*": "after-project:all"},
    official_note=f"The original is a network of its own; {PLACE_NOTE}",
    params=params,
    macs=macs,
    params_text="C^2 + 77C",
    macs_text="(C^2 + 74C)N",
    formula_tex=r"""s = f^{7 \times 7}_{d=3}\left(f^{5 \times 5}(x)\right)
y = \left(W s\right) \odot x""",
    deviations=(
        GATE_NOTE,
        START_NOTE,
    ),
    timm="timm has none.",
    traps=(
        NO_SIGMOID_TRAP,
        "The far convolution spans 19 positions: on a 7x7 map its outer taps see nothing but the "
        "padding, and on a 1x1 map one tap of each is left.",
        "It is known for 21x21; near and far together reach 23x23 positions.",
    ),
    license=(
        "Apache-2.0, README: ask the authors before commercial use "
        "(Visual-Attention-Network/VAN-Classification)"
    ),
)
