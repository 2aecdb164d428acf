"""BAM: Bottleneck Attention Module.

BMVC 2018, https://arxiv.org/abs/1807.06514.
Original code: https://github.com/Jongchan/attention-module

Two branches; every convolution has a bias:

    Mc = W1 relu(BN(W0 mean(x)))                               (B, C, 1, 1), through q = C/r
    Ms = f3(h2(h1(f0(x))))                                     (B, 1, H, W)
    y = x * (1 + sigmoid(Mc * Ms))                             (B, C, H, W)

f0 is a 1x1 convolution, h1 and h2 are dilated 3x3 convolutions, all on q channels and followed by
BN and ReLU; f3 is a 1x1 convolution to one channel.

The paper writes Mc + Ms, its code multiplies: the option `combine`. Unlike the original, this
trains at batch 1.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Paper, PrintedCost, Traits
from attnbench_modules._folding import conv, folded, linear
from attnbench_modules._norms import BatchNorm
from attnbench_modules._pooling import channel_means
from attnbench_modules._shared import (
    BEFORE_NORM,
    PRINTED_SOURCE,
    SQUEEZE_NOTE,
    check,
    one_of,
    squeezed,
    whole,
)
from attnbench_modules.fused_bam import FusedBAM


class BAM(nn.Module):
    """Gate channels and positions at once: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        dilation: int = 4,
        combine: Literal["mul", "add"] = "mul",
    ) -> None:
        super().__init__()
        check(type(self), channels, reduction=reduction, dilation=dilation, combine=combine)
        hidden = squeezed(channels, reduction)
        self.combine = combine
        self.channel = nn.Sequential(
            *_layer(channels, hidden),
            nn.Conv2d(hidden, channels, 1),
        )
        self.spatial = nn.Sequential(
            *_layer(channels, hidden),
            *_layer(hidden, hidden, kernel_size=3, dilation=dilation),
            *_layer(hidden, hidden, kernel_size=3, dilation=dilation),
            nn.Conv2d(hidden, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Raise x by a gate between 1 and 2: (B, C, H, W) -> (B, C, H, W)."""
        channel = self.channel(channel_means(x))  # (B, C, 1, 1)
        spatial = self.spatial(x)  # (B, 1, H, W)
        scores = channel * spatial if self.combine == "mul" else channel + spatial
        return x * (1 + torch.sigmoid(scores))

    def fuse(self) -> FusedBAM:
        """Return the inference form: the same output, no batch norm, one pass less at the end.

        Raises:
            TypeError: a layer is no longer the one that this class builds.
        """
        spatial = [folded(conv(self.spatial[i]), self.spatial[i + 1]) for i in (0, 3, 6)]
        return FusedBAM(
            linear(conv(self.channel[0]), self.channel[1]),
            linear(conv(self.channel[3])),
            [*spatial, folded(conv(self.spatial[9]), nn.Identity())],
            self.combine,
        ).eval()


def _layer(
    inputs: int, outputs: int, *, kernel_size: int = 1, dilation: int = 1
) -> list[nn.Module]:
    """Return convolution, batch norm and ReLU that keep the map's size."""
    padding = dilation * (kernel_size // 2)
    conv = nn.Conv2d(inputs, outputs, kernel_size, padding=padding, dilation=dilation)
    return [conv, BatchNorm(outputs), nn.ReLU()]


def params(channels: int, *, reduction: int = 16, **_options: Any) -> int:
    """Return 3Cq + 18q^2 + 13q + C + 1: weights 3Cq + 18q^2 + q, the rest biases and norms."""
    hidden = squeezed(channels, reduction)
    return 3 * channels * hidden + 18 * hidden**2 + 13 * hidden + channels + 1


def macs(channels: int, height: int, width: int, *, reduction: int = 16, **_options: Any) -> int:
    """Return 2Cq + (Cq + 18q^2 + q)N: the channel branch sees a 1x1 map, the other all N."""
    hidden = squeezed(channels, reduction)
    spatial = channels * hidden + 18 * hidden**2 + hidden
    return 2 * channels * hidden + spatial * height * width


def _printed_params(channels: int, *, reduction: int = 16, **_options: Any) -> int:
    return 4 * channels**2 // reduction + 18 * channels**2 // reduction**2


def _printed_macs(
    channels: int, height: int, width: int, *, reduction: int = 16, **_options: Any
) -> int:
    per_position = _printed_params(channels, reduction=reduction)
    return 2 * channels**2 // reduction + per_position * height * width


BAM.card = Card(
    title="Bottleneck attention (BAM)",
    family="mixed",
    paper=Paper(
        key="park2018bam",
        title="BAM: Bottleneck Attention Module",
        authors=("Park, Jongchan", "Woo, Sanghyun", "Lee, Joon-Young", "Kweon, In So"),
        venue="British Machine Vision Conference (BMVC)",
        short="Park, BMVC'18",
        year=2018,
        url="https://arxiv.org/abs/1807.06514",
    ),
    traits=Traits(mlp=True, conv1x1=True),
    options={
        "reduction": "channels over hidden channels, in both branches",
        "dilation": "of the two 3x3 convolutions",
        "combine": "mul = multiply the branches, as the code does; add = add them, as the paper",
    },
    constraints=(
        whole("channels"),
        whole("reduction"),
        whole("dilation"),
        one_of("combine", "mul", "add"),
    ),
    official={
        "mobilenet_v1": "after:4,6,12",
        "mobilenet_v2": "after:4,7,14",
        "mobilenet_v3_large": "after:4,7,13",
        "mobilenet_v3_small": "after:2,4,9",
    },
    official_note=(
        "The original puts one after each of the first three stages of a ResNet. Our translation: "
        "after the last block on 56x56, 28x28 and 14x14, before each down-sampling."
    ),
    params=params,
    macs=macs,
    params_text="3Cq + 18q^2 + 13q + C + 1, q = max(1, C//r)",
    macs_text="2Cq + (Cq + 18q^2 + q)N, q = max(1, C//r)",
    formula="""\
Mc = W1 relu(BN(W0 mean(x)))                               (B, C, 1, 1), through q = C/r
Ms = f3(h2(h1(f0(x))))                                     (B, 1, H, W)
y = x * (1 + sigmoid(Mc * Ms))                             (B, C, H, W)
f0 is a 1x1 convolution, h1 and h2 are dilated 3x3 convolutions, all on q channels and followed by
BN and ReLU; f3 is a 1x1 convolution to one channel.""",
    formula_tex=r"""z = \operatorname{mean}_{HW}(x)
M_c = W_1\,\mathrm{ReLU}\left(\mathrm{BN}(W_0 z + b_0)\right) + b_1
M_s = f_3(h_2(h_1(f_0(x))))
y = \left(1 + \sigma(M_c \odot M_s)\right) \odot x""",
    printed=PrintedCost(
        source=PRINTED_SOURCE,
        params_text="4m^2/r + 18m^2/r^2",
        macs_text="2m^2/r + (4m^2/r + 18m^2/r^2)*h*w",
        params_tex=r"\frac{4m^2}{r} + \frac{18m^2}{r^2}",
        macs_tex=r"\frac{2m^2}{r} + \left(\frac{4m^2}{r} + \frac{18m^2}{r^2}\right)hw",
        params=_printed_params,
        macs=_printed_macs,
        differences=(
            "The spatial branch ends in one channel, so the weights are 3m^2/r + 18m^2/r^2 + m/r, "
            "not 4m^2/r + 18m^2/r^2.",
            "The printed parameters leave out biases and batch norms.",
            "The printed multiply-adds charge 4m^2/r to every position, where the spatial branch "
            "needs m^2/r + m/r; at 512 channels on 14x14 that is 2.4 times too much.",
        ),
    ),
    deviations=(
        "In training, a batch norm that sees one value a channel (the pooled vector at batch 1) "
        "uses its running statistics, where the original fails; nothing changes otherwise.",
        "The pooling takes any map, the original's a square one.",
        SQUEEZE_NOTE,
    ),
    timm="timm 1.0.31 has no BAM: its layer named bottleneck is the self-attention of BoTNet.",
    traps=(
        "The released file cannot be built as it stands: it reads a name that is not defined.",
        "Code and paper differ: the code multiplies the branches and has no batch norm at their "
        "ends, the paper adds them and has one.",
        "At the start it scales x by about 1.5, so it disturbs pretrained weights.",
    ),
    dead={
        "channel.0.bias": BEFORE_NORM,
        "spatial.0.bias": BEFORE_NORM,
        "spatial.3.bias": BEFORE_NORM,
        "spatial.6.bias": BEFORE_NORM,
    },
    license="MIT (Jongchan/attention-module)",
)
