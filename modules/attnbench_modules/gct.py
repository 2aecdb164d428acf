"""Gated Channel Transformation for Visual Recognition.

CVPR 2020, https://arxiv.org/abs/1909.11519. Original code: https://github.com/z-x-yang/GCT

Three weights a channel, alpha, gamma and beta, and no layer:

    s = alpha * sqrt(sum over positions of x^2 + eps)          (B, C, 1, 1), how strong a channel is
    n = s / sqrt(mean over channels of s^2 + eps)              (B, C, 1, 1), among the others
    y = x * (1 + tanh(gamma * n + beta))                       (B, C, H, W)

A positive gamma lets strong channels win, a negative one evens them out. At the start alpha is 1,
gamma and beta are 0: y = x. With mode=l1 sums and means are of absolute values, without roots.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Constraint, Paper, Traits
from attnbench_modules._pooling import channel_sums
from attnbench_modules._shared import check, one_of, whole


class GCT(nn.Module):
    """Scale each channel by how strong it is among the others: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(
        self, channels: int, *, mode: Literal["l2", "l1"] = "l2", eps: float = 1e-5
    ) -> None:
        super().__init__()
        check(type(self), channels, mode=mode, eps=eps)
        self.mode = mode
        self.eps = eps
        self.alpha = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels by a factor between 0 and 2: (B, C, H, W) -> (B, C, H, W)."""
        strength, common = self._l2(x) if self.mode == "l2" else self._l1(x)
        # 1.0, not 1: runtimes for phones would convert the integer at every call
        return x * (1.0 + torch.tanh(strength * (self.gamma / common) + self.beta))

    def _l2(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, C, 1, 1), the norm of each channel, and (B, 1, 1, 1), what is usual."""
        strength = self.alpha * (channel_sums(x.square()) + self.eps).sqrt()
        return strength, (strength.square().mean(1, keepdim=True) + self.eps).sqrt()

    def _l1(self, x: Tensor) -> tuple[Tensor, Tensor]:
        strength = self.alpha * channel_sums(x.abs())
        return strength, strength.abs().mean(1, keepdim=True) + self.eps


def params(channels: int, **_options: Any) -> int:
    """Return 3C."""
    return 3 * channels


def macs(channels: int, height: int, width: int, **_options: Any) -> int:
    """Return 0: there is no layer, only sums of squares and products by element."""
    return 0


GCT.card = Card(
    title="Gated channel transformation (GCT)",
    family="channel",
    paper=Paper(
        key="yang2020gated",
        title="Gated Channel Transformation for Visual Recognition",
        authors=("Yang, Zongxin", "Zhu, Linchao", "Wu, Yu", "Yang, Yi"),
        venue="IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)",
        short="Yang, CVPR'20",
        year=2020,
        url="https://arxiv.org/abs/1909.11519",
    ),
    traits=Traits(),
    options={
        "mode": "l2 or l1: the norm that measures a channel and all of them",
        "eps": "added to sums of squares and to the divisor",
    },
    constraints=(
        whole("channels"),
        one_of("mode", "l2", "l1"),
        Constraint(
            "eps must be above 0, or a map of zeros would be divided by 0",
            lambda channels, eps=1e-5, **_: isinstance(eps, (int, float)) and eps > 0,
        ),
    ),
    official={"*": "after:all+after-depthwise:all"},
    official_note=(
        "The original puts one before every convolution. Our translation: after every MobileNet "
        "block, which is before the first convolution of the next, and after the depthwise "
        "convolution, which is before the projection. Between expansion and depthwise convolution "
        "there is no place for one."
    ),
    params=params,
    macs=macs,
    params_text="3C",
    macs_text="0",
    formula_tex=r"""s = \alpha \odot \sqrt{\mathrm{sum}_{HW}(x^2) + \epsilon}
n = \frac{s}{\sqrt{\mathrm{mean}_C(s^2) + \epsilon}}
y = \left(1 + \tanh(\gamma \odot n + \beta)\right) \odot x""",
    deviations=(
        "The original can be told that x is not negative (after_relu), which spares mode=l1 the "
        "absolute values; ours always takes them.",
    ),
    timm="timm has none.",
    exceptions={
        "dtypes": (
            "sums over all positions leave the range of fp16, as in the original: squares of 56x56 "
            "maps of deviation 5 sum to 78,400; with mode=l1 so does 1 / eps on a map of zeros"
        ),
    },
    traps=(
        "Another paper's GCT, the Gaussian context transformer (CVPR 2021), is another module.",
        "At the start only gamma and beta get a gradient: alpha waits for gamma to leave 0.",
        "In half precision the sum of squares is infinite from 65,504 on, which 28x28 "
        "positions of the size of 10 exceed.",
        "The original trains beta without weight decay.",
    ),
    license="no licence (z-x-yang/GCT)",
)
