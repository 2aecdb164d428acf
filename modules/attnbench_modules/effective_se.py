"""CenterMask: Real-Time Anchor-Free Instance Segmentation.

CVPR 2020, https://arxiv.org/abs/1911.06667. Original code: https://github.com/youngwanLEE/centermask2

The paper's backbone, VoVNetV2, has the effective squeeze-and-excitation (eSE), one layer that keeps
the width instead of two with a bottleneck, and a gate of straight pieces:

    z = mean over positions of x                               (B, C)
    s = hardsigmoid(W z + b)                                   (B, C), clip(v + 3, 0, 6) / 6
    y = x * s                                                  (B, C, H, W)
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from attnbench.cards import Card, Traits
from attnbench_modules import papers
from attnbench_modules._pooling import channel_means
from attnbench_modules._shared import AS_SE, AS_SE_NOTE, HALVES, check, whole


class EffectiveSE(nn.Module):
    """Scale each channel by a gate from one layer over all: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int) -> None:
        super().__init__()
        check(type(self), channels)
        self.fc = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels: (B, C, H, W) -> (B, C, H, W)."""
        gate = F.hardsigmoid(self.fc(channel_means(x).flatten(1)))  # (B, C)
        return x * gate[..., None, None]


def params(channels: int, **_options: Any) -> int:
    """Return C^2 + C."""
    return channels**2 + channels


def macs(channels: int, height: int, width: int, **_options: Any) -> int:
    """Return C^2: the layer sees one vector."""
    return channels**2


EffectiveSE.card = Card(
    title="Effective squeeze-and-excitation (eSE)",
    family="channel",
    paper=papers.ESE,
    traits=Traits(mlp=True),
    constraints=(whole("channels"),),
    official=AS_SE,
    official_note=(
        "The original puts it in every one-shot aggregation block of VoVNetV2, on the last 1x1 "
        "convolution before the addition. " + AS_SE_NOTE
    ),
    params=params,
    macs=macs,
    params_text="C^2 + C",
    macs_text="C^2",
    formula_tex=r"""z = \mathrm{mean}_{HW}(x)
s = \mathrm{hardsigmoid}(W z + b)
y = s \odot x""",
    deviations=(
        "The layer is a linear one on the pooled vector, which the original writes as a 1x1 "
        "convolution of a 1x1 map: the same numbers, sooner.",
    ),
    timm="The same, with a 1x1 convolution for the layer; add_maxpool is timm's own addition.",
    traps=(
        "The square of the channels: at C = 960 it costs 922,560 parameters, SE with r = 16 costs "
        "116,220.",
        "Where the gate is 0 or 1 nothing is learnt: the hard sigmoid is flat beyond -3 and 3.",
        HALVES,
    ),
    license="CC-BY-NC-4.0 (youngwanLEE/centermask2)",
)
