"""A2-Nets: Double Attention Networks.

NeurIPS 2018, https://arxiv.org/abs/1810.11579. No original code was found.

Gather t global descriptors, then hand them out to the positions; t is the paper's c_m = c_n:

    A, B, V = 1x1 convolutions of x                            (B, t, N) each, t = C/r, N = H*W
    G = A softmax_N(B)^T                                       (B, t, t), one descriptor a column
    Z = G softmax_t(V)                                         (B, t, N), a mix for each position
    y = x + W(Z)                                               (B, C, H, W)

W is a 1x1 convolution back to C. Many copies leave out W or the addition.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Paper, PrintedCost, Traits
from attnbench_modules._folding import folded, merged
from attnbench_modules._pooling import laid_out_as
from attnbench_modules._shared import PRINTED_SOURCE, SQUEEZE_NOTE, check, squeezed, whole
from attnbench_modules.fused_double_attention import FusedDoubleAttention


class DoubleAttention(nn.Module):
    """Gather global descriptors and distribute them: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, reduction: int = 4, residual: bool = True) -> None:
        super().__init__()
        check(type(self), channels, reduction=reduction, residual=residual)
        inner = squeezed(channels, reduction)
        self.residual = residual
        self.features = nn.Conv2d(channels, inner, 1)
        self.gather = nn.Conv2d(channels, inner, 1)
        self.distribute = nn.Conv2d(channels, inner, 1)
        self.out = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Add the distributed descriptors: (B, C, H, W) -> (B, C, H, W)."""
        where = torch.softmax(self.gather(x).flatten(2), dim=2)  # (B, t, N), over positions
        which = torch.softmax(self.distribute(x).flatten(2), dim=1)  # (B, t, N), over descriptors
        features = self.features(x).flatten(2)
        descriptors = torch.bmm(features, where.transpose(1, 2))  # (B, t, t)
        mixed = torch.unflatten(torch.bmm(descriptors, which), 2, x.shape[2:])  # (B, t, H, W)
        y: Tensor = self.out(laid_out_as(mixed, x))
        return x + y if self.residual else y

    def fuse(self) -> FusedDoubleAttention:
        """Return the inference form: the same output, three projections in one convolution."""
        return FusedDoubleAttention(
            merged(self.features, self.gather, self.distribute),
            folded(self.out, nn.Identity()),
            self.residual,
        ).eval()


def params(channels: int, *, reduction: int = 4, **_options: Any) -> int:
    """Return 4Ct + 3t + C: four convolutions with bias."""
    inner = squeezed(channels, reduction)
    return 4 * channels * inner + 3 * inner + channels


def macs(channels: int, height: int, width: int, *, reduction: int = 4, **_options: Any) -> int:
    """Return 4CtN + 2t^2 N: four convolutions and two matrix products."""
    inner = squeezed(channels, reduction)
    return (4 * channels * inner + 2 * inner**2) * height * width


def _printed_params(channels: int, *, reduction: int = 4, **_options: Any) -> int:
    return 2 * channels**2 // reduction


def _printed_macs(
    channels: int, height: int, width: int, *, reduction: int = 4, **_options: Any
) -> int:
    return 2 * channels**2 * height * width // reduction


DoubleAttention.card = Card(
    title="Double attention (A2-Net)",
    family="non-local",
    paper=Paper(
        key="chen2018a2nets",
        title="A2-Nets: Double Attention Networks",
        authors=(
            "Chen, Yunpeng",
            "Kalantidis, Yannis",
            "Li, Jianshu",
            "Yan, Shuicheng",
            "Feng, Jiashi",
        ),
        venue="Advances in Neural Information Processing Systems (NeurIPS)",
        short="Chen, NeurIPS'18",
        year=2018,
        url="https://arxiv.org/abs/1810.11579",
    ),
    traits=Traits(conv1x1=True),
    options={
        "reduction": "channels over t, the number of descriptors and their length (c_n and c_m)",
        "residual": "add the input",
    },
    constraints=(whole("channels"), whole("reduction")),
    official={
        "mobilenet_v1": "after:11",
        "mobilenet_v2": "after:13",
        "mobilenet_v3_large": "after:12",
        "mobilenet_v3_small": "after:8",
    },
    official_note=(
        "The paper works on ResNets. Our translation, the same as for the non-local block: one "
        "block in the 14x14 stage, before the last block of that stage."
    ),
    params=params,
    macs=macs,
    params_text="4Ct + 3t + C, t = max(1, C//r)",
    macs_text="4CtN + 2t^2 N, t = max(1, C//r)",
    formula_tex=r"""A = W_A x + b_A, \quad B = W_B x + b_B, \quad V = W_V x + b_V
G = A \operatorname{softmax}_N(B)^\top
Z = G \operatorname{softmax}_t(V)
y = x + W Z + b""",
    printed=PrintedCost(
        source=PRINTED_SOURCE,
        params_text="2mt",
        macs_text="2mt*h*w",
        params_tex="2mt",
        macs_tex="2mthw",
        params=_printed_params,
        macs=_printed_macs,
        differences=(
            "The printed formulas count two of the four 1x1 convolutions, and no bias.",
            "The printed multiply-adds leave out both matrix products, 2t^2 N.",
            "The table takes t = m/8 (reduction=8), the A2-Nets paper t = m/4 (reduction=4).",
        ),
    ),
    deviations=(SQUEEZE_NOTE,),
    timm="timm 1.0.31 has no double attention.",
    traps=(
        "Many copies leave out the addition or the last convolution; residual=False shows what the "
        "first does.",
        "Some copies call softmax without a dimension, which normalises over the batch.",
    ),
    dead={"gather.bias": "moves all positions alike, which the softmax over them takes away"},
    license="no original code found",
)
