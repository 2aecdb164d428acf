"""Polarized Self-Attention: Towards High-quality Pixel-wise Regression.

arXiv 2021, https://arxiv.org/abs/2107.00782. Original code: https://github.com/DeLightCMU/PSA

The sequential layout: a gate for the channels, then one for the positions of what comes of it. With
i = C/2 inner channels and h = i/4:

    z = sum over positions of softmax(w x) * V1 x              (B, i, 1, 1), w gives one channel
    ch = sigmoid(U2 relu(LN(U1 z)))                            (B, C, 1, 1), through h channels
    x' = x * ch                                                (B, C, H, W)
    sp = sigmoid(mean(Q x')^T softmax over positions of V2 x')    (B, 1, H, W)
    y = x' * sp                                                (B, C, H, W)

All are 1x1 convolutions; U1 and U2 alone have biases. The parallel layout is in
polarized_parallel.py.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Traits
from attnbench_modules._folding import linear, vector_norm
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
from attnbench_modules.fused_polarized import FusedPolarizedSequential


class PolarizedSequential(nn.Module):
    """Scale the channels, then the positions: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, softmax: Softmax = "values") -> None:
        super().__init__()
        check(type(self), channels, softmax=softmax)
        inner = squeezed(channels, 2)
        hidden = squeezed(inner, 4)
        self.softmax: Softmax = softmax
        self.mask = projection(channels, 1)
        self.channel_value = projection(channels, inner)
        self.squeeze = nn.Conv2d(inner, hidden, 1)
        self.norm = nn.LayerNorm([hidden, 1, 1])
        self.relu = nn.ReLU()
        self.up = nn.Conv2d(hidden, channels, 1)
        self.query = projection(channels, inner)
        self.value = projection(channels, inner)

    def forward(self, x: Tensor) -> Tensor:
        """Scale channels, then positions: (B, C, H, W) -> (B, C, H, W)."""
        pooled = weighted_means(self.channel_value(x), self.mask(x))  # (B, i, 1, 1)
        x = x * torch.sigmoid(self.up(self.relu(self.norm(self.squeeze(pooled)))))
        return x * spatial_gate(self.query(x), self.value(x), self.softmax)

    def fuse(self) -> FusedPolarizedSequential:
        """Return the inference form: the same output, vectors projected in place of maps."""
        gate = nn.Sequential(
            linear(self.channel_value),
            linear(self.squeeze),
            vector_norm(self.norm),
            nn.ReLU(),
            linear(self.up),
        )
        layers = (self.mask, gate, self.query, self.value)
        return FusedPolarizedSequential(*layers, self.softmax).eval()


def params(channels: int, **_options: Any) -> int:
    """Return 3Ci + C for the projections, ih + 3h + hC + C for the layers of the channel gate."""
    inner = squeezed(channels, 2)
    hidden = squeezed(inner, 4)
    return 3 * channels * inner + 2 * channels + hidden * (inner + channels + 3)


def macs(channels: int, height: int, width: int, **_options: Any) -> int:
    """Return (3Ci + C + 2i)N + (i + C)h: the channel gate's layers see a 1x1 map."""
    inner = squeezed(channels, 2)
    hidden = squeezed(inner, 4)
    on_map = 3 * channels * inner + channels + 2 * inner
    return on_map * height * width + hidden * (inner + channels)


PolarizedSequential.card = Card(
    title="Polarized self-attention, sequential (PSA)",
    family="mixed",
    paper=PAPER,
    traits=Traits(mlp=True, conv1x1=True),
    options={"softmax": SOFTMAX_OPTION},
    constraints=(whole("channels"), one_of("softmax", "scores", "values", "query")),
    official={"*": "after-depthwise:all"},
    official_note=OFFICIAL_NOTE,
    params=params,
    macs=macs,
    params_text="3Ci + 2C + h(i + C + 3), i = max(1, C//2), h = max(1, i//4)",
    macs_text="(3Ci + C + 2i)N + h(i + C), i = max(1, C//2), h = max(1, i//4)",
    formula_tex=r"""z = \sum_{HW} \operatorname{softmax}_{HW}(w x) \odot V_1 x
c = \sigma\left(U_2\,\mathrm{ReLU}\left(\mathrm{LN}(U_1 z + b_1)\right) + b_2\right)
x' = c \odot x
s = \sigma\left(\mathrm{mean}_{HW}(Q x')^\top \operatorname{softmax}_{HW}(V_2 x')\right)
y = s \odot x'""",
    deviations=(SQUEEZE_NOTE,),
    timm="timm has none.",
    traps=(
        "The paper takes the softmax of the pooled query, over channels (softmax=query); the code, "
        "followed here, takes that of the values, over positions.",
        "The layer norm sees C/8 values: of one (below 16 channels) it is a constant, of two "
        "(below 24) a sign, and little or nothing of the channels comes through.",
        "At the start it scales x by about one quarter, so it disturbs pretrained weights.",
        OTHER_PSA_TRAP,
    ),
    license="Apache-2.0 (DeLightCMU/PSA)",
)
