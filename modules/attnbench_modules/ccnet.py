"""CCNet: Criss-Cross Attention for Semantic Segmentation.

ICCV 2019, https://arxiv.org/abs/1811.11721. Original code: https://github.com/speedinghzl/CCNet

Each position attends to the H + W - 1 positions of its row and its column; the second time round,
with the same layers, what it takes in there comes from the whole map:

    q, k = 1x1 convolutions of x                               (B, d, H, W) both, d = C/8
    v = a 1x1 convolution of x                                 (B, C, H, W)
    a = softmax over the positions j of row and column of q_i . k_j
    y = x + gamma * sum over j of a_j v_j                      (B, C, H, W), then again from y

gamma is one number that starts at 0, so the module starts as the identity.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._pooling import laid_out_as
from attnbench_modules._shared import AS_NON_LOCAL_NOTE, SQUEEZE_NOTE, check, squeezed, whole
from attnbench_modules.fused_ccnet import FusedCrissCross, by_row, gathered


class CrissCross(nn.Module):
    """Each position attends to its row and its column: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, reduction: int = 8, recurrence: int = 2) -> None:
        super().__init__()
        check(type(self), channels, reduction=reduction, recurrence=recurrence)
        inner = squeezed(channels, reduction)
        self.recurrence = recurrence
        self.query = nn.Conv2d(channels, inner, 1)
        self.key = nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Add, as often as asked for, what row and column send: (B, C, H, W) -> (B, C, H, W)."""
        for _ in range(self.recurrence):
            query, key, value = (by_row(one(x)) for one in (self.query, self.key, self.value))
            sent = laid_out_as(gathered(query, key, value).permute(0, 3, 1, 2), x)
            x = x + self.gamma * sent
        return x

    def fuse(self) -> FusedCrissCross:
        """Return the inference form: the same output, one product for query, key and value."""
        gamma = self.gamma.item()
        return FusedCrissCross(self.query, self.key, self.value, gamma, self.recurrence).eval()


def params(channels: int, *, reduction: int = 8, **_options: Any) -> int:
    """Return C^2 + 2Cd + C + 2d for three convolutions, and 1 for gamma."""
    inner = squeezed(channels, reduction)
    return (channels + 1) * (channels + 2 * inner) + 1


def macs(
    channels: int,
    height: int,
    width: int,
    *,
    reduction: int = 8,
    recurrence: int = 2,
    **_options: Any,
) -> int:
    """Return (C^2 + 2Cd)N for the convolutions and (C + d)N(H + W) for both products, R times."""
    inner = squeezed(channels, reduction)
    projections, products = channels * (channels + 2 * inner), (channels + inner) * (height + width)
    return recurrence * height * width * (projections + products)


CrissCross.card = Card(
    title="Criss-cross attention (CCNet)",
    family="non-local",
    paper=Paper(
        key="huang2019ccnet",
        title="CCNet: Criss-Cross Attention for Semantic Segmentation",
        authors=(
            "Huang, Zilong",
            "Wang, Xinggang",
            "Huang, Lichao",
            "Huang, Chang",
            "Wei, Yunchao",
            "Liu, Wenyu",
        ),
        venue="IEEE/CVF International Conference on Computer Vision (ICCV)",
        short="Huang, ICCV'19",
        year=2019,
        url="https://arxiv.org/abs/1811.11721",
    ),
    traits=Traits(conv1x1=True),
    options={
        "reduction": "channels over the channels of query and key",
        "recurrence": "R, how often, with the same layers",
    },
    constraints=(whole("channels"), whole("reduction"), whole("recurrence")),
    official={
        "mobilenet_v1": "after:11",
        "mobilenet_v2": "after:13",
        "mobilenet_v3_large": "after:12",
        "mobilenet_v3_small": "after:8",
    },
    official_note=(
        "The original stands in the head of a segmentation network, between two 3x3 convolutions. "
        f"{AS_NON_LOCAL_NOTE}"
    ),
    params=params,
    macs=macs,
    params_text="C^2 + 2Cd + C + 2d + 1, d = max(1, C//r)",
    macs_text="R((C^2 + 2Cd)N + (C + d)N(H + W)), d = max(1, C//r)",
    formula_tex=r"""q = W_q x + b_q, \quad k = W_k x + b_k, \quad v = W_v x + b_v
a_{ij} = \operatorname{softmax}_{j \in \mathrm{row}(i) \cup \mathrm{column}(i)} q_i^\top k_j
y_i = x_i + \gamma \sum_j a_{ij} v_j""",
    deviations=(
        "Here the recurrence is part of the module; the original's class goes round once, and its "
        "network has R as an argument that its published runs set to 2.",
        "The original keeps a position from counting twice, in its row and in its column, by a "
        "score of minus infinity, as here in PyTorch. No int8 range holds it: in graphs for other "
        "runtimes its second weight is taken out afterwards.",
        SQUEEZE_NOTE,
    ),
    timm="timm has none.",
    traps=(
        "The original in PyTorch makes its mask on the GPU whatever the map's device.",
        "A version of mmsegmentation calls it R times and throws every result away.",
        "At the start only gamma gets a gradient: everything before it is multiplied by zero.",
    ),
    dead={"key.bias": "moves all scores of a position alike, which the softmax takes away"},
    license="MIT (speedinghzl/CCNet)",
)
