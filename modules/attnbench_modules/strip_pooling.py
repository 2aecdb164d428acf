"""Strip Pooling: Rethinking Spatial Pooling for Scene Parsing.

CVPR 2020, https://arxiv.org/abs/2003.13328. Original code: https://github.com/houqb/SPNet

The strip pooling module, SPBlock in the code. fh and fw are convolutions of 3 taps along the strip,
from all channels to all channels, without bias; W has one:

    zh, zw = means of the rows, of the columns of x            (B, C, H, 1), (B, C, 1, W)
    s = relu(BN(fh(zh)) + BN(fw(zw)))                          (B, C, H, W), each along the other
    a = sigmoid(W s)                                           (B, C, H, W)
    y = x * a                                                  (B, C, H, W)

The original returns the gate a, and the block that holds it multiplies; here the product is inside.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._folding import conv, folded
from attnbench_modules._norms import BATCH_NORM_NOTE, BatchNorm
from attnbench_modules._pooling import across, column_means, row_means
from attnbench_modules._shared import check, whole
from attnbench_modules.fused_strip_pooling import FusedStripPooling


class StripPooling(nn.Module):
    """Scale each value by a gate from its row and column: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int) -> None:
        super().__init__()
        check(type(self), channels)
        self.rows = nn.Sequential(
            nn.Conv2d(channels, channels, (3, 1), padding=(1, 0), bias=False), BatchNorm(channels)
        )
        self.columns = nn.Sequential(
            nn.Conv2d(channels, channels, (1, 3), padding=(0, 1), bias=False), BatchNorm(channels)
        )
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Gate each value: (B, C, H, W) -> (B, C, H, W)."""
        both = across(self.rows(row_means(x)), self.columns(column_means(x)), x)
        return x * torch.sigmoid(self.mix(torch.relu(both)))

    def fuse(self) -> FusedStripPooling:
        """Return the inference form: the same output, no batch norm.

        Raises:
            TypeError: a layer is no longer the one that this class builds.
        """
        rows, columns = (folded(conv(one[0]), one[1]) for one in (self.rows, self.columns))
        return FusedStripPooling(rows, columns, folded(self.mix, nn.Identity())).eval()


def params(channels: int, **_options: Any) -> int:
    """Return 7C^2 + 5C: 3C^2 for each strip and C^2 of W, 4C of the norms, and the bias."""
    return 7 * channels**2 + 5 * channels


def macs(channels: int, height: int, width: int, **_options: Any) -> int:
    """Return 3C^2 (H + W) + C^2 N: the strips are short, W sees the whole map."""
    return channels**2 * (3 * (height + width) + height * width)


StripPooling.card = Card(
    title="Strip pooling (SPBlock), its gate on x",
    family="spatial",
    paper=Paper(
        key="hou2020strip",
        title="Strip Pooling: Rethinking Spatial Pooling for Scene Parsing",
        authors=("Hou, Qibin", "Zhang, Li", "Cheng, Ming-Ming", "Feng, Jiashi"),
        venue="IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)",
        short="Hou, CVPR'20",
        year=2020,
        url="https://arxiv.org/abs/2003.13328",
    ),
    traits=Traits(conv1x1=True),
    constraints=(whole("channels"),),
    official={
        "mobilenet_v1": "after-project:4,6,12-14",
        "mobilenet_v2": "after-project:4,7,14-18",
        "*": "after-project:all",
    },
    official_note=(
        "The original has it behind the 3x3 convolution of a ResNet bottleneck, where the channels "
        "are few, in the last block of each stage and in every block of the last. Our translation: "
        "the same blocks of MobileNetV1 and V2, a stage being what has one map size, from 56x56 "
        "on; behind the last pointwise convolution, where a MobileNet's channels are few. In other "
        "networks every block."
    ),
    params=params,
    macs=macs,
    params_text="7C^2 + 5C",
    macs_text="C^2 (3H + 3W + N)",
    formula_tex=r"""z_h = \mathrm{mean}_W(x), \quad z_w = \mathrm{mean}_H(x)
s = \mathrm{ReLU}\left(\mathrm{BN}\left(f_h(z_h)\right) + \mathrm{BN}\left(f_w(z_w)\right)\right)
a = \sigma\left(W s\right)
y = a \odot x""",
    deviations=(
        "The original returns the gate alone and leaves the product to the block that holds it.",
        BATCH_NORM_NOTE,
    ),
    timm=(
        "timm's strip is another module: depthwise convolutions of the strips and a sigmoid of "
        "their sum, without norms and without W."
    ),
    traps=(
        "The mixed pooling module of the same paper, StripPooling in its code, is another one: it "
        "sits at the end of a segmentation network and needs pooling sizes.",
        "The strips' convolutions mix all channels: they hold six sevenths of the parameters, of "
        "which there are 1.8M on 512 channels.",
        "At its official placement it adds 1.3M parameters to MobileNetV2 and 17M to V1, whose "
        "last blocks have 1024 channels.",
        "An earlier version of the original has biases before both norms, which do nothing.",
        "At the start it scales x by about one half, so it disturbs pretrained weights.",
    ),
    license="MIT, README: not for commercial use (houqb/SPNet)",
)
