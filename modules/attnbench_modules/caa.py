"""Poly Kernel Inception Network for Remote Sensing Detection.

CVPR 2024, https://arxiv.org/abs/2403.06258.
Original code: https://github.com/NUST-Machine-Intelligence-Laboratory/PKINet

Context anchor attention. f are depthwise strips of k taps, with biases, unlike W1 and W2:

    u = SiLU(BN(W1 means of 7x7(x)))                           (B, C, H, W), around each position
    s = fk x 1(f1 x k(u))                                      (B, C, H, W)
    a = sigmoid(SiLU(BN(W2 s)))                                (B, C, H, W)
    y = x * a                                                  (B, C, H, W)

The original returns the gate a, and its network scales with it the output of other convolutions;
here it scales x itself. The SiLU before the sigmoid keeps a above 0.43.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Paper, Traits
from attnbench_modules._folding import conv, folded
from attnbench_modules._layers import strip_pair
from attnbench_modules._norms import BATCH_NORM_NOTE, BatchNorm
from attnbench_modules._shared import check, odd, whole
from attnbench_modules.fused_caa import FusedCAA, surroundings


class CAA(nn.Module):
    """Scale each value by a gate from far along its row and column: (B, C, H, W) -> same."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, kernel_size: int = 11) -> None:
        super().__init__()
        check(type(self), channels, kernel_size=kernel_size)
        self.conv1 = _mixing(channels)
        self.strips = strip_pair(channels, kernel_size)
        self.conv2 = _mixing(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Gate each value: (B, C, H, W) -> (B, C, H, W)."""
        return x * torch.sigmoid(self.conv2(self.strips(self.conv1(surroundings(x)))))

    def fuse(self) -> FusedCAA:
        """Return the inference form: the same output, no batch norm.

        Raises:
            TypeError: a layer is no longer the one that this class builds.
        """
        first, second = (folded(conv(one[0]), one[1]) for one in (self.conv1, self.conv2))
        along, down = (folded(conv(strip), nn.Identity()) for strip in self.strips)
        return FusedCAA(first, along, down, second).eval()


def _mixing(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 1, bias=False),
        BatchNorm(channels, eps=0.001, momentum=0.03),
        nn.SiLU(),
    )


def params(channels: int, *, kernel_size: int = 11, **_options: Any) -> int:
    """Return 2C^2 for W1 and W2, 4C for their norms and (2k + 2)C for the strips."""
    return 2 * channels**2 + (2 * kernel_size + 6) * channels


def macs(channels: int, height: int, width: int, *, kernel_size: int = 11, **_options: Any) -> int:
    """Return (2C^2 + 2kC)N."""
    return (2 * channels**2 + 2 * kernel_size * channels) * height * width


CAA.card = Card(
    title="Context anchor attention (CAA), its gate on x",
    family="large-kernel",
    paper=Paper(
        key="cai2024poly",
        title="Poly Kernel Inception Network for Remote Sensing Detection",
        authors=(
            "Cai, Xinhao",
            "Lai, Qiuxia",
            "Wang, Yuwei",
            "Wang, Wenguan",
            "Sun, Zeren",
            "Yao, Yazhou",
        ),
        venue="IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)",
        short="Cai, CVPR'24",
        year=2024,
        url="https://arxiv.org/abs/2403.06258",
    ),
    traits=Traits(conv1x1=True),
    options={"kernel_size": "k, taps of both strips, odd"},
    constraints=(
        whole("channels"),
        odd("kernel_size", "the gate would change its size"),
    ),
    official={"*": "after-project:all"},
    official_note=(
        "The original is a network of its own for detection: in each block the gate is computed "
        "from what enters a set of convolutions and scales what leaves them. Our translation: "
        "after the last pointwise convolution of every MobileNet block, computed there as well."
    ),
    params=params,
    macs=macs,
    params_text="2C^2 + (2k + 6)C; 2C^2 + 28C for k = 11",
    macs_text="(2C^2 + 2kC)N",
    formula_tex=r"""u = \mathrm{SiLU}\left(\mathrm{BN}\left(W_1\,\bar{x}_{7 \times 7}\right)\right)
s = f_{k \times 1}\left(f_{1 \times k}(u)\right)
a = \sigma\left(\mathrm{SiLU}\left(\mathrm{BN}\left(W_2\,s\right)\right)\right)
y = a \odot x""",
    deviations=(
        "The original returns the gate alone; here it scales the map that it is computed from.",
        "The original network lets k grow from block to block, 11, 13, 15 ...; here it is 11 "
        "unless kernel_size says otherwise.",
        BATCH_NORM_NOTE,
    ),
    timm="timm has none.",
    dead={
        "strips.1.bias": "a shift of each channel, which W2 only mixes before a batch norm takes "
        "it away in training"
    },
    traps=(
        "The code has an activation before the sigmoid: SiLU is never below -0.28, so the gate "
        "is never below 0.43; a copy without it has another range.",
        "The means count the zeros beyond the border: on a map of 7x7 or less every mean does, and "
        "on a 1x1 map it is 1/49 of the value.",
        "The norms have eps 0.001 and momentum 0.03, as detectors have them.",
        "It is no light gate: two 1x1 convolutions from C to C, on 512 channels 0.54M parameters.",
    ),
    license="Apache-2.0 (NUST-Machine-Intelligence-Laboratory/PKINet)",
)
