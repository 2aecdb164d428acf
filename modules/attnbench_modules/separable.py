"""Separable Self-attention for Mobile Vision Transformers.

TMLR 2023, https://arxiv.org/abs/2206.02680. Original code: https://github.com/apple/ml-cvnets

Self-attention of MobileViT-v2, whose cost grows with the positions and not with their square: all
of them are compared with one learned query, and share the one context that comes of it:

    i = a 1x1 convolution of x                                 (B, 1, H, W)
    k, v = 1x1 convolutions of x                               (B, C, H, W) both
    c = sum over positions of softmax(i) * k                   (B, C, 1, 1), the context
    y = x + W(relu(v) * c)                                     (B, C, H, W)

W is a 1x1 convolution; all have biases. The addition of x is that of the block around it.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._folding import copied, linear, parted
from attnbench_modules._pooling import weighted_means
from attnbench_modules._shared import AS_NON_LOCAL_NOTE, check, whole
from attnbench_modules.fused_separable import FusedSeparable


class SeparableAttention(nn.Module):
    """Scale all values by one context: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, residual: bool = True) -> None:
        super().__init__()
        check(type(self), channels, residual=residual)
        self.residual = residual
        self.project = nn.Conv2d(channels, 1 + 2 * channels, 1)  # query, key and value
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Add the scaled values: (B, C, H, W) -> (B, C, H, W)."""
        query, key, value = torch.split(self.project(x), self._widths(), 1)
        context = weighted_means(key, query)  # (B, C, 1, 1)
        y: Tensor = self.out(torch.relu(value) * context)
        return x + y if self.residual else y

    def fuse(self) -> FusedSeparable:
        """Return the inference form: the same output, keys of the mean instead of all keys."""
        query, key, value = parted(self.project, self._widths())
        layers = (linear(query), linear(key), value, copied(self.out))
        return FusedSeparable(*layers, residual=self.residual).eval()

    def _widths(self) -> list[int]:
        return [1, self.out.in_channels, self.out.in_channels]


def params(channels: int, **_options: Any) -> int:
    """Return 3C^2 + C for the weights, and 3C + 1 for the biases."""
    return 3 * channels**2 + 4 * channels + 1


def macs(channels: int, height: int, width: int, **_options: Any) -> int:
    """Return (3C^2 + 2C)N: four convolutions, and C for the weighted mean."""
    return (3 * channels + 2) * channels * height * width


SeparableAttention.card = Card(
    title="Separable self-attention (MobileViT-v2)",
    family="non-local",
    paper=Paper(
        key="mehta2023separable",
        title="Separable Self-attention for Mobile Vision Transformers",
        authors=("Mehta, Sachin", "Rastegari, Mohammad"),
        venue="Transactions on Machine Learning Research (TMLR)",
        kind="article",
        short="Mehta, TMLR'23",
        year=2023,
        url="https://arxiv.org/abs/2206.02680",
    ),
    traits=Traits(conv1x1=True),
    options={"residual": "add the input, as the transformer block around the original does"},
    constraints=(whole("channels"),),
    official={
        "mobilenet_v1": "after:11",
        "mobilenet_v2": "after:13",
        "mobilenet_v3_large": "after:12",
        "mobilenet_v3_small": "after:8",
    },
    official_note=(
        "The original is part of transformer blocks, which make up the last three stages of their "
        f"own network. {AS_NON_LOCAL_NOTE}"
    ),
    params=params,
    macs=macs,
    params_text="3C^2 + 4C + 1",
    macs_text="(3C^2 + 2C)N",
    formula_tex=r"""i = w_i x + b_i, \quad k = W_k x + b_k, \quad v = W_v x + b_v
c = \sum_{HW} \operatorname{softmax}_{HW}(i) \odot k
y = x + W \left(\mathrm{ReLU}(v) \odot c\right) + b""",
    deviations=(
        "The layer norm before it and the dropout, which belong to the transformer block around "
        "it, are left out; of that block the addition stays, and residual=False takes it away.",
        "The original cuts the map into patches of 2x2 and attends among the pixels of each of the "
        "four kinds by themselves; here all positions are of one kind, so that any map will do.",
    ),
    timm=(
        "timm has it inside its MobileViT-v2 (timm.models.mobilevit.LinearSelfAttention), not as "
        "an attention layer by name; with residual=False and the weights copied the outputs are "
        "equal for patches of 1x1."
    ),
    traps=(
        "At 1x1 the context is the key of the one position.",
        "The query's bias, the first of the projection's, moves all positions alike, which the "
        "softmax over them takes away: it never changes the output.",
        "Every channel has one context for all positions: where to look is not for each position "
        "to choose.",
    ),
    license="Apple sample code licence (apple/ml-cvnets)",
)
