"""Polarized Self-Attention: Towards High-quality Pixel-wise Regression.

arXiv 2021, https://arxiv.org/abs/2107.00782. Original code: https://github.com/DeLightCMU/PSA

The parallel layout: a gate for the channels and one for the positions, both of x, added. With
i = C/2 inner channels:

    z = sum over positions of softmax(w x) * V1 x              (B, i, 1, 1), w gives one channel
    ch = sigmoid(U z)                                          (B, C, 1, 1)
    sp = sigmoid(softmax over positions of mean(Q x)^T V2 x)   (B, 1, H, W)
    y = x * ch + x * sp                                        (B, C, H, W)

All are 1x1 convolutions without bias. The sequential layout is in polarized_sequential.py.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Traits
from attnbench_modules._folding import linear
from attnbench_modules._polarized import (
    OFFICIAL_NOTE,
    OTHER_PSA_TRAP,
    PAPER,
    SOFTMAX_OPTION,
    Softmax,
    projection,
    spatial_gate,
)
from attnbench_modules._pooling import weighted_means
from attnbench_modules._shared import SQUEEZE_NOTE, check, one_of, squeezed, whole
from attnbench_modules.fused_polarized import FusedPolarizedParallel


class PolarizedParallel(nn.Module):
    """Scale by a channel gate plus a spatial gate: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, softmax: Softmax = "scores") -> None:
        super().__init__()
        check(type(self), channels, softmax=softmax)
        inner = squeezed(channels, 2)
        self.softmax: Softmax = softmax
        self.mask = projection(channels, 1)
        self.channel_value = projection(channels, inner)
        self.up = nn.Conv2d(inner, channels, 1, bias=False)
        self.query = projection(channels, inner)
        self.value = projection(channels, inner)

    def forward(self, x: Tensor) -> Tensor:
        """Scale by both gates: (B, C, H, W) -> (B, C, H, W)."""
        pooled = weighted_means(self.channel_value(x), self.mask(x))  # (B, i, 1, 1)
        channel = torch.sigmoid(self.up(pooled))  # (B, C, 1, 1)
        spatial = spatial_gate(self.query(x), self.value(x), self.softmax)  # (B, 1, H, W)
        return x * channel + x * spatial

    def fuse(self) -> FusedPolarizedParallel:
        """Return the inference form: the same output, vectors projected in place of maps."""
        gate = nn.Sequential(linear(self.channel_value), linear(self.up))
        layers = (self.mask, gate, self.query, self.value)
        return FusedPolarizedParallel(*layers, self.softmax).eval()


def params(channels: int, **_options: Any) -> int:
    """Return 4Ci + C, i = C/2."""
    return 4 * channels * squeezed(channels, 2) + channels


def macs(channels: int, height: int, width: int, **_options: Any) -> int:
    """Return (3Ci + C + 2i)N + Ci, i = C/2: the last layer sees a 1x1 map."""
    inner, positions = squeezed(channels, 2), height * width
    return (3 * channels * inner + channels + 2 * inner) * positions + channels * inner


PolarizedParallel.card = Card(
    title="Polarized self-attention, parallel (PSA)",
    family="mixed",
    paper=PAPER,
    traits=Traits(conv1x1=True),
    options={"softmax": SOFTMAX_OPTION},
    constraints=(whole("channels"), one_of("softmax", "scores", "values", "query")),
    official={"*": "after-depthwise:all"},
    official_note=OFFICIAL_NOTE,
    params=params,
    macs=macs,
    params_text="4Ci + C, i = max(1, C//2)",
    macs_text="(3Ci + C + 2i)N + Ci, i = max(1, C//2)",
    formula_tex=r"""c = \sigma\left(U \sum_{HW} \operatorname{softmax}_{HW}(w x) \odot V_1 x\right)
s = \sigma\left(\operatorname{softmax}_{HW}\left(\mathrm{mean}_{HW}(Q x)^\top V_2 x\right)\right)
y = c \odot x + s \odot x""",
    deviations=(SQUEEZE_NOTE,),
    timm="timm has none.",
    traps=(
        "The softmax over N positions gives about 1/N each, and its sigmoid one half: the spatial "
        "gate says next to nothing on any but the smallest maps.",
        "The paper takes the softmax of the pooled query, over channels (softmax=query); the code, "
        "followed here, takes that of the scores.",
        OTHER_PSA_TRAP,
    ),
    license="Apache-2.0 (DeLightCMU/PSA)",
)
