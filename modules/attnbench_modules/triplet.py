"""Rotate to Attend: Convolutional Triplet Attention Module.

WACV 2021, https://arxiv.org/abs/2010.03045.
Original code: https://github.com/landskape-ai/triplet-attention

Three gates, one over each plane of the map, of the maximum and the mean along the third direction:

    Ghw = gate([max_C(x), mean_C(x)])                          (B, 1, H, W)
    Gcw = gate([max_H(x), mean_H(x)])                          (B, C, 1, W)
    Ghc = gate([max_W(x), mean_W(x)])                          (B, C, H, 1)
    gate(z) = sigmoid(BN(f7x7(z)))                             of each plane its own
    y = x * (Ghw + Gcw + Ghc) / 3                              (B, C, H, W)

f7x7 is a convolution from 2 channels to 1, without bias.
The original turns the map twice and scales it three times; here only the small gates are turned.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._folding import conv, folded
from attnbench_modules._layers import plane_filter
from attnbench_modules._norms import BATCH_NORM_NOTE
from attnbench_modules._pooling import laid_out_as, max_and_mean, side_planes
from attnbench_modules._shared import TIES_NOTE, check, odd, whole
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
        cw, hc = side_planes(x)  # (B, 2, C, W), (B, 2, H, C)
        cw = torch.sigmoid(self.cw(cw)).transpose(1, 2)  # (B, C, 1, W)
        hc = torch.sigmoid(self.hc(hc)).transpose(1, 3)  # (B, C, H, 1)
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
    formula_tex=r"""G_{HW} = \mathrm{gate}([\mathrm{max}_C(x), \mathrm{mean}_C(x)])
G_{CW} = \mathrm{gate}([\mathrm{max}_H(x), \mathrm{mean}_H(x)])
G_{HC} = \mathrm{gate}([\mathrm{max}_W(x), \mathrm{mean}_W(x)])
\mathrm{gate}(z) = \sigma\left(\mathrm{BN}\left(f^{7 \times 7}(z)\right)\right)
y = \frac{1}{3}\left(G_{HW} + G_{CW} + G_{HC}\right) \odot x""",
    deviations=(TIES_NOTE, BATCH_NORM_NOTE),
    timm="timm has none.",
    traps=(
        "Two of the filters run over neighbouring channels, and which these are is an accident of "
        "training: a permutation of the channels changes the result.",
        "The repository has an older copy in MODELS/; the file at its root is the released one.",
    ),
    license="MIT (landskape-ai/triplet-attention)",
)
