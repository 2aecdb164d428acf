"""Concurrent Spatial and Channel Squeeze & Excitation in Fully Convolutional Networks.

MICCAI 2018, https://arxiv.org/abs/1803.02579.
Original code: https://github.com/ai-med/squeeze_and_excitation

SE over the channels (cSE) with h = C/r hidden channels, beside it a gate of the positions (sSE):

    c = sigmoid(W2 relu(W1 mean(x) + b1) + b2)                 (B, C, 1, 1)
    p = sigmoid(w x + b)                                       (B, 1, H, W), a 1x1 convolution
    y = max(x * c, x * p)                                      (B, C, H, W)

The paper adds the two instead, its code takes the larger: the option `combine`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._pooling import channel_means
from attnbench_modules._shared import SQUEEZE_NOTE, check, one_of, squeezed, whole


class SCSE(nn.Module):
    """Gate the channels and, beside that, the positions: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(
        self, channels: int, *, reduction: int = 2, combine: Literal["max", "add"] = "max"
    ) -> None:
        super().__init__()
        check(type(self), channels, reduction=reduction, combine=combine)
        hidden = squeezed(channels, reduction)
        self.combine = combine
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)
        self.spatial = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply both gates to x and combine: (B, C, H, W) -> (B, C, H, W)."""
        hidden = torch.relu(self.squeeze(channel_means(x).flatten(1)))
        channel = torch.sigmoid(self.excite(hidden))[..., None, None]  # (B, C, 1, 1)
        position = torch.sigmoid(self.spatial(x))  # (B, 1, H, W)
        if self.combine == "add":
            return x * (channel + position)
        return torch.maximum(x * channel, x * position)


def params(channels: int, *, reduction: int = 2, **_options: Any) -> int:
    """Return 2Ch + h + C for cSE and C + 1 for sSE."""
    hidden = squeezed(channels, reduction)
    return 2 * channels * hidden + hidden + 2 * channels + 1


def macs(channels: int, height: int, width: int, *, reduction: int = 2, **_options: Any) -> int:
    """Return 2Ch + CN: cSE sees one vector, sSE every position."""
    return 2 * channels * squeezed(channels, reduction) + channels * height * width


SCSE.card = Card(
    title="Concurrent spatial and channel squeeze & excitation (scSE)",
    family="mixed",
    paper=Paper(
        key="roy2018concurrent",
        title=(
            "Concurrent Spatial and Channel Squeeze & Excitation in Fully Convolutional Networks"
        ),
        authors=("Roy, Abhijit Guha", "Navab, Nassir", "Wachinger, Christian"),
        venue="Medical Image Computing and Computer Assisted Intervention (MICCAI)",
        short="Roy, MICCAI'18",
        year=2018,
        url="https://arxiv.org/abs/1803.02579",
    ),
    traits=Traits(mlp=True, conv1x1=True),
    options={
        "reduction": "channels over hidden channels of the channel gate",
        "combine": "max = the larger of both, as the code does; add = add them, as the paper",
    },
    constraints=(whole("channels"), whole("reduction"), one_of("combine", "max", "add")),
    official={"*": "after-project:all"},
    official_note=(
        "The original puts one behind every encoder and decoder block of a segmentation network. "
        "Our translation: after the last pointwise convolution of every MobileNet block, before "
        "the addition, where SE and CBAM stand."
    ),
    params=params,
    macs=macs,
    params_text="2Ch + h + 2C + 1, h = max(1, C//r)",
    macs_text="2Ch + CN, h = max(1, C//r)",
    formula_tex=r"""z = \mathrm{mean}_{HW}(x)
c = \sigma\left(W_2\,\mathrm{ReLU}(W_1 z + b_1) + b_2\right)
p = \sigma(w \cdot x + b)
y = \max(c \odot x, p \odot x)""",
    deviations=(SQUEEZE_NOTE,),
    timm="timm has none.",
    traps=(
        "Where x is negative the larger of x c and x p is the one with the smaller gate.",
        "Many copies add, as the paper does: combine=add. That gate reaches 2.",
        "r is 2, not 16: at C = 512 it has eight times the parameters of SE.",
        "At the start it scales x by about one half (add: by about one).",
    ),
    license="MIT (ai-med/squeeze_and_excitation)",
)
