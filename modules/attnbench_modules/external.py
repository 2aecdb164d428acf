"""Beyond Self-attention: External Attention using Two Linear Layers for Visual Tasks.

TPAMI 2023, https://arxiv.org/abs/2105.02358. Original code: https://github.com/MenghaoGuo/EANet

Each position attends to k slots of two learned memories, the same for all images:

    f = W1 x                                                   (B, C, N), W1 with bias, N = H*W
    s = softmax over positions of M1 f                         (B, k, N), one map a slot
    a = s / (sum over slots of s)                              (B, k, N)
    y = relu(x + BN(W2 M2 a))                                  (B, C, H, W)

M1 is k x C and M2 is C x k. Nothing that is not linear stands between W1 and M1, nor between M2 and
W2: for inference each pair is one matrix, and so is the batch norm with it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._folding import chained, folded
from attnbench_modules._norms import BATCH_NORM_NOTE, BatchNorm
from attnbench_modules._shared import AS_NON_LOCAL_NOTE, check, whole
from attnbench_modules.fused_external import FusedExternal, shares


class ExternalAttention(nn.Module):
    """Each position attends to learned memories: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, slots: int = 64) -> None:
        super().__init__()
        check(type(self), channels, slots=slots)
        self.project = nn.Conv2d(channels, channels, 1)
        self.keys = nn.Conv2d(channels, slots, 1, bias=False)
        self.values = nn.Conv2d(slots, channels, 1, bias=False)
        self.out = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = BatchNorm(channels)
        for layer in (self.project, self.keys, self.values, self.out):
            nn.init.normal_(layer.weight, std=(2 / layer.out_channels) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the memories give: (B, C, H, W) -> (B, C, H, W)."""
        attention = shares(self.keys(self.project(x)))  # (B, k, H, W)
        y: Tensor = x + self.norm(self.out(self.values(attention)))
        return y.relu_()

    def fuse(self) -> FusedExternal:
        """Return the inference form: the same output, one matrix before and one behind."""
        return FusedExternal(
            chained(self.project, self.keys), folded(chained(self.values, self.out), self.norm)
        ).eval()


def params(channels: int, *, slots: int = 64, **_options: Any) -> int:
    """Return 2C^2 + 2kC for the layers, C for the bias of W1 and 2C for the batch norm."""
    return 2 * channels**2 + (2 * slots + 3) * channels


def macs(channels: int, height: int, width: int, *, slots: int = 64, **_options: Any) -> int:
    """Return (2C^2 + 2kC)N."""
    return 2 * channels * (channels + slots) * height * width


ExternalAttention.card = Card(
    title="External attention",
    family="non-local",
    paper=Paper(
        key="guo2023external",
        title=(
            "Beyond Self-attention: External Attention using Two Linear Layers for Visual Tasks"
        ),
        authors=("Guo, Meng-Hao", "Liu, Zheng-Ning", "Mu, Tai-Jiang", "Hu, Shi-Min"),
        venue="IEEE Transactions on Pattern Analysis and Machine Intelligence (TPAMI)",
        kind="article",
        short="Guo, TPAMI'23",
        year=2023,
        url="https://arxiv.org/abs/2105.02358",
    ),
    traits=Traits(conv1x1=True),
    options={"slots": "k, the rows of each memory"},
    constraints=(whole("channels"), whole("slots")),
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
    params_text="2C^2 + 2kC + 3C",
    macs_text="(2C^2 + 2kC)N",
    formula_tex=r"""s = \operatorname{softmax}_N\left(M_1 (W_1 x + b_1)\right)
a = s / \sum_k s_k
y = \mathrm{ReLU}\left(x + \mathrm{BN}(W_2 M_2 a)\right)""",
    deviations=(
        "The original starts M2 as the transpose of M1, and on the CPU both keep sharing one "
        "memory; here each starts by itself.",
        "The original adds 1e-9 to the sum over the slots, which shows where hardly any slot looks "
        "at a position. In half precision and in graphs for other runtimes both normalisations are "
        "one softmax over the slots.",
        BATCH_NORM_NOTE,
    ),
    timm="timm has none.",
    traps=(
        "It ends in a ReLU: placed where a block's output is linear, as in MobileNetV2, it takes "
        "away what is negative.",
        "Many copies are only the two memories, for tokens, without W1, W2, norm and addition.",
        "The softmax runs over positions, not over slots: all positions of an image weigh on each "
        "other.",
    ),
    dead={"project.bias": "moves a slot's scores alike at all positions: the softmax cancels it"},
    license="no licence (MenghaoGuo/EANet)",
)
