"""Spatial Group-wise Enhance: Improving Semantic Feature Learning in Convolutional Networks.

arXiv 2019, https://arxiv.org/abs/1905.09646.
Original code: https://github.com/implus/PytorchInsight

The channels are cut into G groups of c = C/G. Each position of a group is weighed by how much it is
like the group's mean:

    s = sum over the c channels of x * mean(x)                 (B, G, H, W), mean over positions
    n = (s - mean(s)) / (std(s) + eps)                         (B, G, H, W)
    y = x * sigmoid(w * n + b)                                 (B, C, H, W), w and b one a group

w starts at 0 and b at 1: at the start every gate is sigmoid(1) = 0.73.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._pooling import channel_means, deviations, gated_by_groups, laid_out_as
from attnbench_modules._shared import check, largest_divisor, split_by, whole

EPS = 1e-5
"""Added to the standard deviation."""


class SGE(nn.Module):
    """Scale the positions of each group of channels: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, groups: int | None = None) -> None:
        super().__init__()
        check(type(self), channels, groups=groups)
        self.groups = group_count(channels, groups)
        self.weight = nn.Parameter(torch.zeros(self.groups, 1, 1))
        self.bias = nn.Parameter(torch.ones(self.groups, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Scale all groups: (B, C, H, W) -> (B, C, H, W)."""
        products = torch.unflatten(x * channel_means(x), 1, (self.groups, -1))  # (B, G, c, H, W)
        # in single precision at least: what is left of the sums without their mean is small
        similarity = products.sum(2, dtype=torch.promote_types(x.dtype, torch.float32))
        centred = similarity - channel_means(similarity)
        scale = self.weight / (deviations(centred) + EPS)  # (B, G, 1, 1)
        gate = torch.sigmoid((centred * scale).to(x.dtype) + self.bias)  # (B, G, H, W)
        return gated_by_groups(x, laid_out_as(gate, x))


def group_count(channels: int, groups: int | None = None) -> int:
    """Return G: as asked for, else the largest divisor of C up to 64."""
    return groups or largest_divisor(channels, 64)


def params(channels: int, *, groups: int | None = None, **_options: Any) -> int:
    """Return 2G."""
    return 2 * group_count(channels, groups)


def macs(channels: int, height: int, width: int, **_options: Any) -> int:
    """Return 0: there is no layer that mixes, only products of maps."""
    return 0


SGE.card = Card(
    title="Spatial group-wise enhance (SGE)",
    family="spatial",
    paper=Paper(
        key="li2019sge",
        title=(
            "Spatial Group-wise Enhance: Improving Semantic Feature Learning in Convolutional "
            "Networks"
        ),
        authors=("Li, Xiang", "Hu, Xiaolin", "Yang, Jian"),
        venue="arXiv preprint arXiv:1905.09646",
        kind="article",
        short="Li, arXiv'19",
        year=2019,
        url="https://arxiv.org/abs/1905.09646",
    ),
    traits=Traits(subspace=True),
    options={"groups": "G, of C/G channels each; none = the largest divisor of C up to 64"},
    constraints=(whole("channels"), split_by("groups")),
    official={"*": "after-project:all"},
    official_note=(
        "The original puts it in every ResNet block, after the last convolution and its norm, "
        "before the addition. Our translation: after the last pointwise convolution of every "
        "MobileNet block."
    ),
    params=params,
    macs=macs,
    params_text="2G",
    macs_text="0",
    formula_tex=r"""s = \sum_{c} x_c\,\mathrm{mean}_{HW}(x_c)
n = \left(s - \mathrm{mean}_{HW}(s)\right) / \left(\mathrm{std}_{HW}(s) + \epsilon\right)
y = \sigma\left(w n + b\right) \odot x""",
    deviations=(
        "The original has 64 groups whatever the channels and fails where they do not divide C; "
        "groups=64 brings that back.",
        "On a map of one position the deviation is 0 and the gate sigmoid(b); the original divides "
        "by N - 1 = 0 and gives NaN.",
    ),
    timm="timm has none.",
    traps=(
        "Up to 64 channels each group is one channel, which is then compared with its own mean.",
        "The similarity is normalised over the map: a map that is the same everywhere is only "
        "scaled by sigmoid(b).",
        "At the start it scales x by 0.73, so it disturbs pretrained weights.",
    ),
    license="no licence (implus/PytorchInsight)",
)
