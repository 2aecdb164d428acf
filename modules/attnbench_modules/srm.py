"""SRM: A Style-Based Recalibration Module for Convolutional Neural Networks.

ICCV 2019, https://arxiv.org/abs/1903.10829.
Original code: https://github.com/hyunjaelee410/style-based-recalibration-module

The style of a channel is its mean and its standard deviation; each channel weighs its own two:

    m = mean over positions of x                               (B, C, 1, 1)
    d = sqrt(variance over positions of x + eps)               (B, C, 1, 1)
    z = w_m * m + w_d * d                                      (B, C, 1, 1), the CFC
    y = x * sigmoid(BN(z))                                     (B, C, H, W)

CFC is the channel-wise fully connected layer, two weights a channel that start at 0. Unlike the
original, this trains at batch 1 and takes maps of one position (d = sqrt(eps)).
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._folding import affine
from attnbench_modules._norms import BATCH_NORM_NOTE, BatchNorm
from attnbench_modules._pooling import channel_means, variances
from attnbench_modules._shared import AS_SE, WHERE_SE_STANDS_NOTE, check, whole
from attnbench_modules.fused_srm import FusedSRM

EPS = 1e-5
"""Added to the variance."""


class SRM(nn.Module):
    """Scale each channel by a gate from its own style: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int) -> None:
        super().__init__()
        check(type(self), channels)
        self.cfc = nn.Parameter(torch.zeros(channels, 2))
        self.norm = BatchNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels: (B, C, H, W) -> (B, C, H, W)."""
        means = channel_means(x)
        deviation = (variances((x - means).square()) + EPS).sqrt()
        weights = self.cfc[..., None, None]  # (C, 2, 1, 1)
        style = weights[:, 0] * means + weights[:, 1] * deviation  # (B, C, 1, 1)
        return x * torch.sigmoid(self.norm(style))

    def fuse(self) -> FusedSRM:
        """Return the inference form: the same output, no batch norm."""
        scale, shift = affine(self.norm)
        weights = self.cfc.detach().double() * scale[:, None]
        return FusedSRM(weights.to(self.cfc), shift.to(self.cfc), EPS).eval()


def params(channels: int, **_options: Any) -> int:
    """Return 4C: two weights a channel, and the batch norm's two."""
    return 4 * channels


def macs(channels: int, height: int, width: int, **_options: Any) -> int:
    """Return 0: there is no layer that mixes, only products by channel."""
    return 0


SRM.card = Card(
    title="Style-based recalibration (SRM)",
    family="channel",
    paper=Paper(
        key="lee2019srm",
        title="SRM: A Style-Based Recalibration Module for Convolutional Neural Networks",
        authors=("Lee, HyunJae", "Kim, Hyo-Eun", "Nam, Hyeonseob"),
        venue="IEEE/CVF International Conference on Computer Vision (ICCV)",
        short="Lee, ICCV'19",
        year=2019,
        url="https://arxiv.org/abs/1903.10829",
    ),
    traits=Traits(),
    constraints=(whole("channels"),),
    official=AS_SE,
    official_note=WHERE_SE_STANDS_NOTE,
    params=params,
    macs=macs,
    params_text="4C",
    macs_text="0",
    formula_tex=r"""\mu = \mathrm{mean}_{HW}(x), \quad d = \sqrt{\mathrm{var}_{HW}(x) + \epsilon}
z = w_m \odot \mu + w_d \odot d
y = \sigma\left(\mathrm{BN}(z)\right) \odot x""",
    deviations=(
        "A map of one position has variance 0; the original divides by N - 1 = 0 and gives NaN.",
        BATCH_NORM_NOTE,
    ),
    timm="timm has none.",
    traps=(
        "At the start the gate is one half everywhere, so it disturbs pretrained weights.",
        "At the start the weight of the norm gets no gradient: the CFC has to leave 0 first.",
        "The original exempts all its parameters from weight decay.",
        "With torch's own variance, as the original has it, it takes two to six times as long on a "
        "CPU as with the two passes here.",
    ),
    license="no licence (hyunjaelee410/style-based-recalibration-module)",
)
