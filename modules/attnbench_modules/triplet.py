"""Rotate to Attend: Convolutional Triplet Attention Module.

WACV 2021, https://arxiv.org/abs/2010.03045.
Original code: https://github.com/landskape-ai/triplet-attention

Three gates, one over each plane of the map, of the maximum and the mean along the third direction:

    Ghw = gate([max_C(x), mean_C(x)])                          (B, 1, H, W)
    Gcw = gate([max_H(x), mean_H(x)])                          (B, C, 1, W)
    Ghc = gate([max_W(x), mean_W(x)])                          (B, C, H, 1)
    y = x * (Ghw + Gcw + Ghc) / 3                              (B, C, H, W)

gate(z) = sigmoid(BN(f7x7(z))), each with a convolution of its own, 2 to 1 channel, without bias.
The original turns the map twice and scales it three times; here only the small gates are turned.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._folding import conv, folded
from attnbench_modules._layers import plane_filter
from attnbench_modules._pooling import (
    column_maxima,
    column_means,
    laid_out_as,
    max_and_mean,
    row_maxima,
    row_means,
)
from attnbench_modules._shared import check, odd, whole
from attnbench_modules.fused_triplet import FusedTriplet


class TripletAttention(nn.Module):
    """Scale each value by the mean of three gates: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, kernel_size: int = 7, spatial: bool = True) -> None:
        super().__init__()
        check(type(self), channels, kernel_size=kernel_size, spatial=spatial)
        self.cw = plane_filter(kernel_size)
        self.hc = plane_filter(kernel_size)
        self.hw = plane_filter(kernel_size) if spatial else None

    def forward(self, x: Tensor) -> Tensor:
        """Apply the gates: (B, C, H, W) -> (B, C, H, W)."""
        planes = torch.cat([column_maxima(x), column_means(x)], 2).transpose(1, 2)  # (B, 2, C, W)
        cw = torch.sigmoid(self.cw(planes)).transpose(1, 2)  # (B, C, 1, W)
        planes = torch.cat([row_maxima(x), row_means(x)], 3).transpose(1, 3)  # (B, 2, H, C)
        hc = torch.sigmoid(self.hc(planes)).transpose(1, 3)  # (B, C, H, 1)
        if self.hw is None:
            return x * (laid_out_as(cw / 2, x) + laid_out_as(hc / 2, x))
        hw = torch.sigmoid(self.hw(max_and_mean(x)))  # (B, 1, H, W)
        return x * (laid_out_as(cw / 3, x) + laid_out_as(hc / 3, x) + hw / 3)

    def fuse(self) -> FusedTriplet:
        """Return the inference form: the same output, no batch norms, the map read fewer times.

        Raises:
            TypeError: a layer is no longer the one that this class builds.
        """
        filters = [layer for layer in (self.cw, self.hc, self.hw) if layer is not None]
        return FusedTriplet(*(folded(conv(one[0]), one[1]) for one in filters)).eval()


def params(channels: int, *, kernel_size: int = 7, spatial: bool = True, **_options: Any) -> int:
    """Return 2k^2 + 2 for each gate."""
    return (2 * kernel_size**2 + 2) * (3 if spatial else 2)


def macs(
    channels: int,
    height: int,
    width: int,
    *,
    kernel_size: int = 7,
    spatial: bool = True,
    **_options: Any,
) -> int:
    """Return 2k^2 (CW + HC + HW): each filter runs over its plane."""
    planes = channels * (height + width) + (height * width if spatial else 0)
    return 2 * kernel_size**2 * planes


TripletAttention.card = Card(
    title="Triplet attention",
    family="mixed",
    paper=Paper(
        key="misra2021rotate",
        title="Rotate to Attend: Convolutional Triplet Attention Module",
        authors=(
            "Misra, Diganta",
            "Nalamada, Trikay",
            "Arasanipalai, Ajay Uppili",
            "Hou, Qibin",
        ),
        venue="IEEE/CVF Winter Conference on Applications of Computer Vision (WACV)",
        short="Misra, WACV'21",
        year=2021,
        url="https://arxiv.org/abs/2010.03045",
    ),
    traits=Traits(),
    options={
        "kernel_size": "k, of the three convolutions, odd",
        "spatial": "the gate over the positions; false = the original's no_spatial",
    },
    constraints=(
        whole("channels"),
        odd("kernel_size", "the gates would change their size"),
    ),
    official={"*": "after-project:all"},
    official_note=(
        "The original MobileNetV2 has it in every block, after the last pointwise convolution and "
        "its norm; of its two published results there the better one has kernel_size=3. Our "
        "translation: the same place in other networks."
    ),
    params=params,
    macs=macs,
    params_text="3 (2k^2 + 2), whatever the channels",
    macs_text="2k^2 (CW + HC + HW)",
    formula=(
        "y = x * (gate(x over C) + gate(x over H) + gate(x over W)) / 3\n"
        "gate(x over D) = sigmoid(BN(f7x7([max_D(x), mean_D(x)])))"
    ),
    formula_tex=(
        r"y = \frac{x}{3} \odot \sum_{D \in \{C, H, W\}} \sigma\left(\mathrm{BN}\left("
        r"f_D^{7 \times 7}\left(\left[\mathrm{max}_D(x); \mathrm{mean}_D(x)\right]\right)"
        r"\right)\right)"
    ),
    deviations=(
        "Where several values tie for a maximum they share its gradient; the original gives it to "
        "one of them.",
    ),
    timm="timm has none.",
    traps=(
        "Two of the filters run over neighbouring channels, and which these are is an accident of "
        "training: a permutation of the channels changes the result.",
        "In training a 1x1 map of a single image is refused: a batch norm then sees one value.",
        "The repository has an older copy in MODELS/; the file at its root is the released one.",
    ),
    licence="MIT (landskape-ai/triplet-attention)",
)
