"""Large Selective Kernel Network for Remote Sensing Object Detection.

ICCV 2023, https://arxiv.org/abs/2303.09030. Original code: https://github.com/zcablii/LSKNet

LKA's two depthwise convolutions (lka.py), and at each position a choice between their outputs, made
by a gate like CBAM's; h = C/2:

    s1 = f5x5(x)                                               (B, C, H, W)
    s2 = f7x7 dilated by 3 (s1)                                (B, C, H, W)
    u1, u2 = W1 s1, W2 s2                                      (B, h, H, W) each
    a1, a2 = sigmoid(f7x7 of mean and max of [u1; u2])         (B, 1, H, W) each, over 2h channels
    y = x * (W (a1 * u1 + a2 * u2))                            (B, C, H, W)

All convolutions have biases. Only the choice has a sigmoid: what x is scaled by takes any value of
either sign. This is the gate alone; in the network it stands between two 1x1 convolutions with a
shortcut around all.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._folding import copied
from attnbench_modules._large_kernel import GATE_NOTE, PLACE_NOTE, START_NOTE, quick
from attnbench_modules._layers import depthwise
from attnbench_modules._pooling import mean_and_max
from attnbench_modules._shared import check, squeezed, whole
from attnbench_modules.fused_large_kernel import FusedLSK


class LSK(nn.Module):
    """Scale each value, from a reach chosen by position: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int) -> None:
        super().__init__()
        check(type(self), channels)
        half = squeezed(channels, 2)
        self.near = depthwise(channels, (5, 5))
        self.far = depthwise(channels, (7, 7), dilation=3)
        self.mix_near = nn.Conv2d(channels, half, 1)
        self.mix_far = nn.Conv2d(channels, half, 1)
        self.select = nn.Conv2d(2, 2, 7, padding=3)
        self.mix = nn.Conv2d(half, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scale each value: (B, C, H, W) -> (B, C, H, W)."""
        near = self.near(x)
        far = self.mix_far(self.far(near))
        near = self.mix_near(near)
        choice = torch.sigmoid(self.select(mean_and_max(near, far)))  # (B, 2, H, W)
        gate: Tensor = self.mix(near * choice[:, :1] + far * choice[:, 1:])
        return x * gate

    def fuse(self) -> FusedLSK:
        """Return the inference form: the same output, convolutions where they are fast."""
        mixes = (copied(self.mix_near), copied(self.mix_far))
        depthwise_ones = (quick(self.near), quick(self.far))
        return FusedLSK(*depthwise_ones, mixes, copied(self.select), copied(self.mix)).eval()


def params(channels: int, **_options: Any) -> int:
    """Return 3Ch for the 1x1 ones, 76C depthwise, 2h + C biases of the 1x1, 198 for the choice."""
    half = squeezed(channels, 2)
    return 3 * channels * half + 77 * channels + 2 * half + 198


def macs(channels: int, height: int, width: int, **_options: Any) -> int:
    """Return (3Ch + 74C + 196)N."""
    return (3 * channels * squeezed(channels, 2) + 74 * channels + 196) * height * width


LSK.card = Card(
    title="Large selective kernel (LSK)",
    family="large-kernel",
    paper=Paper(
        key="li2023large",
        title="Large Selective Kernel Network for Remote Sensing Object Detection",
        authors=(
            "Li, Yuxuan",
            "Hou, Qibin",
            "Zheng, Zhaohui",
            "Cheng, Ming-Ming",
            "Yang, Jian",
            "Li, Xiang",
        ),
        venue="IEEE/CVF International Conference on Computer Vision (ICCV)",
        short="Li, ICCV'23",
        year=2023,
        url="https://arxiv.org/abs/2303.09030",
    ),
    traits=Traits(conv1x1=True),
    constraints=(whole("channels"),),
    official={"*": "after-project:all"},
    official_note=f"The original is a network of its own for detection; {PLACE_NOTE}",
    params=params,
    macs=macs,
    params_text="3Ch + 77C + 2h + 198, h = max(1, C//2); 1.5C^2 + 78C + 198 for even C",
    macs_text="(3Ch + 74C + 196)N, h = max(1, C//2)",
    formula_tex=r"""s_1 = f^{5 \times 5}(x), \quad s_2 = f^{7 \times 7}_{d=3}(s_1)
u_1 = W_1 s_1, \quad u_2 = W_2 s_2
[a_1; a_2] = \sigma\left(f^{7 \times 7}\left([\mathrm{mean}_C(u); \max_C(u)]\right)\right)
y = W\left(a_1 \odot u_1 + a_2 \odot u_2\right) \odot x""",
    deviations=(
        GATE_NOTE,
        "Where several channels tie for a maximum they share its gradient; the original gives it "
        "to one of them.",
        "A single channel has h = 1, where C // 2 would give 0.",
        START_NOTE,
    ),
    timm="timm has none; its sk is that of SKNet, which chooses by channel.",
    traps=(
        "What x is scaled by has no sigmoid: it takes any value of either sign, and at the start "
        "it is near 0. It needs a shortcut around it.",
        "The two shares do not add up to 1: each has a sigmoid of its own.",
        "The mean comes before the maximum, where CBAM's gate has the maximum first.",
        "The far convolution spans 19 positions: on a 7x7 map its outer taps see nothing but the "
        "padding.",
    ),
    license="CC-BY-NC-4.0 (zcablii/LSKNet)",
)
