"""NAM: Normalization-based Attention Module.

NeurIPS 2021 workshop, https://arxiv.org/abs/2111.12419.
Original code: https://github.com/Christian-lyc/NAM

The channel part. A batch norm of x, whose weights, g, also say how much each channel counts:

    w = |g| / (|g_1| + ... + |g_C|)                            (C)
    y = x * sigmoid(w * BN(x))                                 (B, C, H, W)

The gate has a value for each element, not for each channel. The original code lets no gradient
through w, so that g learns through BN alone: the option `detached`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._folding import affine
from attnbench_modules._norms import BATCH_NORM_NOTE, BatchNorm
from attnbench_modules._shared import check, whole
from attnbench_modules.fused_nam import FusedNAM


class NAM(nn.Module):
    """Gate each element by its normed self, weighted by channel: (B, C, H, W) -> the same."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, detached: bool = False) -> None:
        super().__init__()
        check(type(self), channels, detached=detached)
        self.detached = detached
        self.norm = BatchNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the elements: (B, C, H, W) -> (B, C, H, W)."""
        gate: Tensor = self._shares() * self.norm(x)
        return x * gate.sigmoid_()

    def _shares(self) -> Tensor:
        """Return the size of each norm weight over the sum of all, (C, 1, 1)."""
        size = self.norm.weight.detach() if self.detached else self.norm.weight
        size = size.abs()
        return (size / size.sum()).view(-1, 1, 1)

    def fuse(self) -> FusedNAM:
        """Return the inference form: the same output, shares and norm as one scale and shift."""
        scale, shift = affine(self.norm)
        shares = self._shares().detach().flatten().double()
        like = self.norm.weight
        return FusedNAM((scale * shares).to(like), (shift * shares).to(like)).eval()


def params(channels: int, **_options: Any) -> int:
    """Return 2C: the batch norm's."""
    return 2 * channels


def macs(channels: int, height: int, width: int, **_options: Any) -> int:
    """Return 0: there is no layer but the batch norm."""
    return 0


NAM.card = Card(
    title="Normalization-based attention, channel part (NAM)",
    family="channel",
    paper=Paper(
        key="liu2021nam",
        title="NAM: Normalization-based Attention Module",
        authors=("Liu, Yichao", "Shao, Zongru", "Teng, Yueyang", "Hoffmann, Nico"),
        venue="NeurIPS Workshop on ImageNet: Past, Present, and Future",
        short="Liu, NeurIPSW'21",
        year=2021,
        url="https://arxiv.org/abs/2111.12419",
    ),
    traits=Traits(),
    options={"detached": "let no gradient through the channels' shares, as the original code does"},
    constraints=(whole("channels"),),
    official={"*": "after-project:all"},
    official_note=(
        "The original puts it in every ResNet block, after the last batch norm and before the "
        "addition. Our translation: after the last pointwise convolution of every MobileNet block."
    ),
    params=params,
    macs=macs,
    params_text="2C",
    macs_text="0",
    formula_tex=r"""w = \frac{|g|}{\sum_i |g_i|}
y = \sigma\left(w \odot \mathrm{BN}_g(x)\right) \odot x""",
    deviations=(
        "Only the channel part: the spatial part of the paper was never released.",
        "The gradient is that of the equations; the original reads g's values past the graph. "
        "detached=true brings that back, and attnbench check then finds the gradient wrong.",
        BATCH_NORM_NOTE,
    ),
    timm="timm has none.",
    traps=(
        "The shares of C channels sum to 1, so at the start the gate is sigmoid(BN(x) / C): one "
        "half to within a hundredth, for what lies within four deviations, from 100 channels on.",
        "The paper's loss punishes the sum of |g|, which is part of the training, not of the "
        "module. Without it nothing makes the shares uneven but chance.",
        "Behind a batch norm the second norm sees a normed map.",
        "Earlier states of the original code have a ReLU before the sigmoid.",
    ),
    license="no licence (Christian-lyc/NAM)",
)
