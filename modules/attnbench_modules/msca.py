"""SegNeXt: Rethinking Convolutional Attention Design for Semantic Segmentation.

NeurIPS 2022, https://arxiv.org/abs/2209.08575.
Original code: https://github.com/Visual-Attention-Network/SegNeXt

Multi-scale convolutional attention. fk is a 1 x k and then a k x 1 convolution; all but W are
depthwise, and all have biases:

    s = f5x5(x)                                                (B, C, H, W)
    a = W (s + f7(s) + f11(s) + f21(s))                        (B, C, H, W)
    y = x * a                                                  (B, C, H, W)

There is no sigmoid: a takes any value of either sign. This is the gate alone; in the network it
stands between two 1x1 convolutions with a shortcut around all.
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
)
from attnbench_modules._layers import MultiScale
from attnbench_modules._shared import check, whole
from attnbench_modules.fused_large_kernel import FusedMSCA


class MSCA(nn.Module):
    """Scale each value by its surroundings at four scales: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int) -> None:
        super().__init__()
        check(type(self), channels)
        self.scales = MultiScale(channels)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scale each value: (B, C, H, W) -> (B, C, H, W)."""
        gate: Tensor = self.mix(self.scales(x))
        return x * gate

    def fuse(self) -> FusedMSCA:
        """Return the inference form: the same output, strips where they are fast."""
        along, down = zip(*copied(self.scales.strips), strict=True)
        return FusedMSCA(copied(self.scales.square), along, down, copied(self.mix)).eval()


def params(channels: int, **_options: Any) -> int:
    """Return C^2 + 111C: (25 + 14 + 22 + 42)C weights of the depthwise ones, and 8C biases."""
    return channels**2 + 111 * channels


def macs(channels: int, height: int, width: int, **_options: Any) -> int:
    """Return (C^2 + 103C)N."""
    return (channels**2 + 103 * channels) * height * width


MSCA.card = Card(
    title="Multi-scale convolutional attention (MSCA)",
    family="large-kernel",
    paper=Paper(
        key="guo2022segnext",
        title="SegNeXt: Rethinking Convolutional Attention Design for Semantic Segmentation",
        authors=(
            "Guo, Meng-Hao",
            "Lu, Cheng-Ze",
            "Hou, Qibin",
            "Liu, Zhengning",
            "Cheng, Ming-Ming",
            "Hu, Shi-Min",
        ),
        venue="Advances in Neural Information Processing Systems (NeurIPS)",
        short="Guo, NeurIPS'22",
        year=2022,
        url="https://arxiv.org/abs/2209.08575",
    ),
    traits=Traits(conv1x1=True),
    constraints=(whole("channels"),),
    official={"*": "after-project:all"},
    official_note=f"The original is a network of its own for segmentation; {PLACE_NOTE}",
    params=params,
    macs=macs,
    params_text="C^2 + 111C",
    macs_text="(C^2 + 103C)N",
    formula_tex=r"""s = f^{5 \times 5}(x)
a = W\left(s + f_7(s) + f_{11}(s) + f_{21}(s)\right)
y = a \odot x""",
    deviations=(
        GATE_NOTE,
        START_NOTE,
    ),
    timm="timm has none.",
    traps=(
        NO_SIGMOID_TRAP,
        "The strips of 21 are longer than the maps of a MobileNet's last stages: at 7x7 eight of "
        "their taps see nothing but the padding.",
        "Seven depthwise convolutions run one after the other on the whole map: what it takes is "
        "their passes over memory more than their multiply-adds.",
    ),
    license=(
        "Apache-2.0, README: ask the authors before commercial use "
        "(Visual-Attention-Network/SegNeXt)"
    ),
)
