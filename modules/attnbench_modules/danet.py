"""Dual Attention Network for Scene Segmentation.

CVPR 2019, https://arxiv.org/abs/1809.02983. Original code: https://github.com/junfu1115/DANet

Two modules, which the paper puts side by side: position attention, as in self-attention GANs, and
channel attention, without layers. gamma is one number that starts at 0: both start as the identity.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._shared import AS_NON_LOCAL_NOTE, SQUEEZE_NOTE, check, squeezed, whole
from attnbench_modules.fused_danet import FusedDANetChannel, FusedDANetPosition


class DANetPosition(nn.Module):
    """Each position attends to all positions: (B, C, H, W) -> (B, C, H, W).

    q, k = 1x1 convolutions of x                               (B, d, N) both, d = C/8, N = H*W
    v = a 1x1 convolution of x                                 (B, C, N)
    A = softmax_j(q^T k)                                       (B, N, N), rows sum to 1
    y = x + gamma * v A^T                                      (B, C, H, W)
    """

    card: ClassVar[Card]

    def __init__(self, channels: int, *, reduction: int = 8) -> None:
        super().__init__()
        check(type(self), channels, reduction=reduction)
        inner = squeezed(channels, reduction)
        self.query = nn.Conv2d(channels, inner, 1)
        self.key = nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Add what all positions send to each: (B, C, H, W) -> (B, C, H, W)."""
        query, key = self.query(x).flatten(2).transpose(1, 2), self.key(x).flatten(2)
        attention = torch.softmax(torch.bmm(query, key), dim=-1)  # (B, N, N)
        gathered = torch.bmm(self.value(x).flatten(2), attention.transpose(1, 2))  # (B, C, N)
        return x + self.gamma * gathered.view(x.shape)

    def fuse(self) -> FusedDANetPosition:
        """Return the inference form: the same output, gamma in the values."""
        return FusedDANetPosition(self.query, self.key, self.value, self.gamma.item()).eval()


class DANetChannel(nn.Module):
    """Each channel attends to all channels, x being (B, C, N): (B, C, H, W) -> (B, C, H, W).

    S = softmax_j(-x x^T)                                      (B, C, C), rows sum to 1
    y = x + gamma * S x                                        (B, C, H, W)
    """

    card: ClassVar[Card]

    def __init__(self, channels: int, *, reverse: bool = True) -> None:
        super().__init__()
        check(type(self), channels, reverse=reverse)
        self.reverse = reverse
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Add what all channels send to each: (B, C, H, W) -> (B, C, H, W)."""
        flat = x.flatten(2)  # (B, C, N)
        products = torch.bmm(flat, flat.transpose(1, 2))  # (B, C, C)
        attention = torch.softmax(-products if self.reverse else products, dim=-1)
        return x + self.gamma * torch.bmm(attention, flat).view(x.shape)

    def fuse(self) -> FusedDANetChannel:
        """Return the inference form: the same output, x added by the second product."""
        return FusedDANetChannel(self.gamma.item(), reverse=self.reverse).eval()


def position_params(channels: int, *, reduction: int = 8, **_options: Any) -> int:
    """Return C^2 + 2Cd + C + 2d for three convolutions, and 1 for gamma."""
    inner = squeezed(channels, reduction)
    return (channels + 1) * (channels + 2 * inner) + 1


def position_macs(
    channels: int, height: int, width: int, *, reduction: int = 8, **_options: Any
) -> int:
    """Return (C^2 + 2Cd)N for the convolutions, (C + d)N^2 for both products."""
    inner, positions = squeezed(channels, reduction), height * width
    projections = channels * (channels + 2 * inner)
    return projections * positions + (channels + inner) * positions**2


def channel_params(channels: int, **_options: Any) -> int:
    """Return 1, gamma."""
    return 1


def channel_macs(channels: int, height: int, width: int, **_options: Any) -> int:
    """Return 2C^2 N: both products."""
    return 2 * channels**2 * height * width


PAPER = Paper(
    key="fu2019danet",
    title="Dual Attention Network for Scene Segmentation",
    authors=(
        "Fu, Jun",
        "Liu, Jing",
        "Tian, Haijie",
        "Li, Yong",
        "Bao, Yongjun",
        "Fang, Zhiwei",
        "Lu, Hanqing",
    ),
    venue="IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)",
    short="Fu, CVPR'19",
    year=2019,
    url="https://arxiv.org/abs/1809.02983",
)
OFFICIAL = {
    "mobilenet_v1": "after:11",
    "mobilenet_v2": "after:13",
    "mobilenet_v3_large": "after:12",
    "mobilenet_v3_small": "after:8",
}
OFFICIAL_NOTE = (
    "The original stands in the head of a segmentation network, between two 3x3 convolutions, "
    f"position and channel attention side by side. {AS_NON_LOCAL_NOTE}"
)
GAMMA_TRAP = "At the start only gamma gets a gradient: everything before it is multiplied by zero."

DANetPosition.card = Card(
    title="Position attention (DANet)",
    family="non-local",
    paper=PAPER,
    traits=Traits(conv1x1=True),
    options={"reduction": "channels over the channels of query and key"},
    constraints=(whole("channels"), whole("reduction")),
    official=OFFICIAL,
    official_note=OFFICIAL_NOTE,
    params=position_params,
    macs=position_macs,
    params_text="C^2 + 2Cd + C + 2d + 1, d = max(1, C//r)",
    macs_text="(C^2 + 2Cd)N + (C + d)N^2, d = max(1, C//r)",
    formula_tex=r"""q = W_q x + b_q, \quad k = W_k x + b_k, \quad v = W_v x + b_v
A = \operatorname{softmax}_j\left(q^\top k\right)
y = x + \gamma\, v A^\top""",
    deviations=(SQUEEZE_NOTE,),
    timm=(
        "timm has none; its nl differs by a batch norm after the sum and a convolution that brings "
        "it back to C."
    ),
    traps=(
        "The attention matrix has N^2 entries for each image: 9.8 million on a 56x56 map.",
        "The scores are not divided by sqrt(d).",
        GAMMA_TRAP,
    ),
    dead={"key.bias": "moves all scores of a row alike, which the softmax takes away"},
    license="MIT (junfu1115/DANet)",
)
DANetChannel.card = Card(
    title="Channel attention (DANet)",
    family="non-local",
    paper=PAPER,
    traits=Traits(),
    options={
        "reverse": "the softmax is of -x x^T, as in the original code; off = of x x^T, as the "
        "paper writes it"
    },
    constraints=(whole("channels"),),
    official=OFFICIAL,
    official_note=OFFICIAL_NOTE,
    params=channel_params,
    macs=channel_macs,
    params_text="1",
    macs_text="2C^2 N",
    formula_tex=r"""S = \operatorname{softmax}_j\left(-x x^\top\right)
y = x + \gamma\, S x""",
    deviations=(
        "The original subtracts the products from the largest of their row before the softmax, "
        "which takes that away again; here they are negated.",
    ),
    timm="timm has none.",
    traps=(
        "The original code and the paper differ in the sign of the products: by the code a channel "
        "attends to those that are least like it.",
        "The products are sums over all positions, hundreds on a 14x14 map: the softmax is close "
        "to picking one channel.",
        GAMMA_TRAP,
    ),
    license="MIT (junfu1115/DANet)",
)
