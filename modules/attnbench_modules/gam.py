"""Global Attention Mechanism: Retain Information to Enhance Channel-Spatial Interactions.

arXiv 2021, https://arxiv.org/abs/2112.05561. No official code was found; the structure is the
paper's, its sizes those on which the public copies agree (dengbuqi/GAM_Pytorch and others)

CBAM's two steps without its pooling; through h = C/r channels each, and all with biases:

    u = x * sigmoid(W2 relu(W1 x))                             (B, C, H, W), by position
    s = relu(BN(f7x7(u)))                                      (B, h, H, W)
    y = u * sigmoid(BN(f7x7(s)))                               (B, C, H, W)

Both 7x7 convolutions are full ones: this is one of the heaviest modules here, 25C^2 parameters.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._folding import conv, folded
from attnbench_modules._layers import bottleneck
from attnbench_modules._norms import BATCH_NORM_NOTE, BatchNorm
from attnbench_modules._shared import BEFORE_NORM, SQUEEZE_NOTE, check, squeezed, whole
from attnbench_modules.fused_gam import FusedGAM


class GAM(nn.Module):
    """Gate by channel at each position, then by surroundings: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, reduction: int = 4, channel_sigmoid: bool = True) -> None:
        super().__init__()
        check(type(self), channels, reduction=reduction, channel_sigmoid=channel_sigmoid)
        hidden = squeezed(channels, reduction)
        self.channel_sigmoid = channel_sigmoid
        self.channel = bottleneck(channels, hidden)
        self.spatial = nn.Sequential(
            nn.Conv2d(channels, hidden, 7, padding=3),
            BatchNorm(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, channels, 7, padding=3),
            BatchNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Gate twice: (B, C, H, W) -> (B, C, H, W)."""
        gate: Tensor = self.channel(x)
        x = x * (torch.sigmoid(gate) if self.channel_sigmoid else gate)
        return x * torch.sigmoid(self.spatial(x))

    def fuse(self) -> FusedGAM:
        """Return the inference form: the same output, no batch norm.

        Raises:
            TypeError: a layer is no longer the one that this class builds.
        """
        channel = [folded(conv(self.channel[i]), nn.Identity()) for i in (0, 2)]
        spatial = [folded(conv(self.spatial[i]), self.spatial[i + 1]) for i in (0, 3)]
        return FusedGAM(channel, spatial, self.channel_sigmoid).eval()


def params(channels: int, *, reduction: int = 4, **_options: Any) -> int:
    """Return 100Ch, h + C of biases for either step, and 2h + 2C for the norms."""
    hidden = squeezed(channels, reduction)
    return 100 * channels * hidden + 4 * (hidden + channels)


def macs(channels: int, height: int, width: int, *, reduction: int = 4, **_options: Any) -> int:
    """Return 100ChN: 2Ch for the 1x1 layers and 98Ch for the 7x7 ones at every position."""
    return 100 * channels * squeezed(channels, reduction) * height * width


GAM.card = Card(
    title="Global attention mechanism (GAM)",
    family="mixed",
    paper=Paper(
        key="liu2021global",
        title=(
            "Global Attention Mechanism: Retain Information to Enhance Channel-Spatial Interactions"
        ),
        authors=("Liu, Yichao", "Shao, Zongru", "Hoffmann, Nico"),
        venue="arXiv preprint arXiv:2112.05561",
        kind="article",
        short="Liu, arXiv'21",
        year=2021,
        url="https://arxiv.org/abs/2112.05561",
    ),
    traits=Traits(mlp=True, conv1x1=True),
    options={
        "reduction": "r, channels over hidden channels of both steps",
        "channel_sigmoid": "a sigmoid on the channel gate; false = none, as some copies have it",
    },
    constraints=(whole("channels"), whole("reduction")),
    official={"*": "after-project:all"},
    official_note=(
        "The paper has it in ResNet and in MobileNet; without code, where in a block could not be "
        "checked. Our translation: after the last pointwise convolution of every "
        "MobileNet block, where CBAM, which it follows, goes."
    ),
    params=params,
    macs=macs,
    params_text="100Ch + 4h + 4C, h = max(1, C//r); 25C^2 + 5C for r = 4",
    macs_text="100ChN, h = max(1, C//r)",
    formula_tex=r"""u = \sigma\left(W_2\,\mathrm{ReLU}(W_1 x)\right) \odot x
s = \mathrm{ReLU}\left(\mathrm{BN}\left(f^{7 \times 7}_1(u)\right)\right)
y = \sigma\left(\mathrm{BN}\left(f^{7 \times 7}_2(s)\right)\right) \odot u""",
    deviations=(
        "There is no official code to differ from. Batch norms, biases and r = 4 are those of the "
        "public copies.",
        "The copies disagree on the channel gate: with a sigmoid, as here, or without, which "
        "channel_sigmoid=False brings back. One pads by repeating the border; here it is zeros.",
        "The lighter variant with grouped 7x7 convolutions and a channel shuffle is left out.",
        BATCH_NORM_NOTE,
        SQUEEZE_NOTE,
    ),
    timm="timm has none.",
    dead={
        "spatial.0.bias": BEFORE_NORM,
        "spatial.3.bias": BEFORE_NORM,
    },
    traps=(
        "Heavy: on 512 channels 6.6M parameters, more than a whole MobileNet, and 1.3G "
        "multiply-adds at 14x14.",
        "Without channel_sigmoid the first gate takes any value of either sign and is near 0 at "
        "the start: almost nothing of x comes through.",
        "At the start it scales x by about one quarter, so it disturbs pretrained weights.",
    ),
    license="no official code; dengbuqi/GAM_Pytorch has no licence",
)
