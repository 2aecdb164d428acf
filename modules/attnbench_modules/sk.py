"""Selective Kernel Networks.

CVPR 2019, https://arxiv.org/abs/1903.06586. Original code: https://github.com/implus/SKNet

Two convolutions of different reach and, for each channel, a choice between them. G groups, d hidden
channels, d = max(C/r, L):

    u1 = relu(BN(f3x3(x)))                                     (B, C, H, W)
    u2 = relu(BN(f3x3 dilated by 2 (x)))                       (B, C, H, W), a reach of 5x5
    z = relu(BN(W mean(u1 + u2)))                              (B, d, 1, 1)
    a1, a2 = softmax of (A z, B z)                             (B, C, 1, 1), a1 + a2 = 1
    y = a1 * u1 + a2 * u2                                      (B, C, H, W)

This is no gate on x: it stands for a 3x3 convolution, and nothing of x goes around it. No layer has
a bias. Unlike the original, this trains at batch 1.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from attnbench.cards import Card, Traits
from attnbench_modules import papers
from attnbench_modules._folding import conv, folded, linear
from attnbench_modules._norms import BATCH_NORM_NOTE, BatchNorm
from attnbench_modules._pooling import channel_means
from attnbench_modules._shared import check, largest_divisor, squeezed, whole
from attnbench_modules.fused_sk import FusedSK


class SK(nn.Module):
    """Convolve at two reaches and choose by channel: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(
        self, channels: int, *, groups: int = 32, reduction: int = 16, minimum: int = 32
    ) -> None:
        super().__init__()
        check(type(self), channels, groups=groups, reduction=reduction, minimum=minimum)
        hidden = squeezed(channels, reduction, minimum)
        groups = largest_divisor(channels, groups)
        self.near = _branch(channels, groups, dilation=1)
        self.far = _branch(channels, groups, dilation=2)
        self.squeeze = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False), BatchNorm(hidden), nn.ReLU()
        )
        self.select = nn.Conv2d(hidden, 2 * channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix what both convolutions give: (B, C, H, W) -> (B, C, H, W)."""
        near, far = self.near(x), self.far(x)
        pooled = channel_means(near) + channel_means(far)  # (B, C, 1, 1)
        scores = self.select(self.squeeze(pooled)).unflatten(1, (2, -1))  # (B, 2, C, 1, 1)
        weights = scores.softmax(1)
        mixed: Tensor = near * weights[:, 0] + far * weights[:, 1]
        return mixed

    def fuse(self) -> FusedSK:
        """Return the inference form: no batch norm, and one score for the choice instead of two.

        Raises:
            TypeError: a layer is no longer the one that this class builds.
        """
        near, far = (folded(conv(branch[0]), branch[1]) for branch in (self.near, self.far))
        return FusedSK(
            near, far, linear(conv(self.squeeze[0]), self.squeeze[1]), linear(self.select)
        ).eval()


def _branch(channels: int, groups: int, *, dilation: int) -> nn.Sequential:
    """Return a 3x3 convolution, batch norm and ReLU that keep the map's size."""
    layer = nn.Conv2d(
        channels, channels, 3, padding=dilation, dilation=dilation, groups=groups, bias=False
    )
    return nn.Sequential(layer, BatchNorm(channels), nn.ReLU())


def params(
    channels: int, *, groups: int = 32, reduction: int = 16, minimum: int = 32, **_options: Any
) -> int:
    """Return 2(9C^2/G + 2C) for the branches and 3Cd + 2d for the choice."""
    hidden = squeezed(channels, reduction, minimum)
    branch = 9 * channels**2 // largest_divisor(channels, groups) + 2 * channels
    return 2 * branch + 3 * channels * hidden + 2 * hidden


def macs(
    channels: int,
    height: int,
    width: int,
    *,
    groups: int = 32,
    reduction: int = 16,
    minimum: int = 32,
    **_options: Any,
) -> int:
    """Return 18C^2 N/G + 3Cd: the branches see all N positions, the choice one vector."""
    hidden = squeezed(channels, reduction, minimum)
    branch = 9 * channels**2 // largest_divisor(channels, groups) * height * width
    return 2 * branch + 3 * channels * hidden


SK.card = Card(
    title="Selective kernel convolution (SK)",
    family="mixed",
    paper=papers.SELECTIVE_KERNEL,
    traits=Traits(mlp=True),
    options={
        "groups": "G, groups of both convolutions, at most: the largest divisor of C up to it",
        "reduction": "r, channels over hidden channels of the choice",
        "minimum": "L, hidden channels at least",
    },
    constraints=(whole("channels"), whole("groups"), whole("reduction"), whole("minimum")),
    official={"*": "after-depthwise:all"},
    official_note=(
        "The original replaces the 3x3 convolution in every bottleneck block of a ResNeXt. Our "
        "translation: behind the depthwise convolution of every MobileNet block, which stays."
    ),
    params=params,
    macs=macs,
    params_text="2(9C^2/G + 2C) + 3Cd + 2d, d = max(C//r, L)",
    macs_text="18C^2 N/G + 3Cd, d = max(C//r, L)",
    formula_tex=r"""u_1 = \mathrm{ReLU}\left(\mathrm{BN}\left(f^{3 \times 3}(x)\right)\right)
u_2 = \mathrm{ReLU}\left(\mathrm{BN}\left(f^{3 \times 3}_{d=2}(x)\right)\right)
z = \mathrm{ReLU}\left(\mathrm{BN}\left(W\,\mathrm{mean}_{HW}(u_1 + u_2)\right)\right)
a_1, a_2 = \mathrm{softmax}(A z, B z)
y = a_1 \odot u_1 + a_2 \odot u_2""",
    deviations=(
        "A convolution, not a gate: it is kept at stride 1 and C channels in and out, so that it "
        "can stand anywhere.",
        "G is 32 where C is a multiple of 32, as in the original, else the largest divisor of C "
        "below: 24 at 24 channels, 25 at 100.",
        BATCH_NORM_NOTE,
    ),
    timm=(
        "timm splits the input, half of the channels for each branch, and rounds d to a multiple "
        "of 8; with split_input=False, groups and rd_channels as here it gives the same."
    ),
    traps=(
        "It replaces x: in a pretrained network everything behind it has to be learnt anew.",
        "implus' own PyTorch variant (PytorchInsight) has a full 3x3 convolution beside the "
        "grouped one: other sizes.",
        "At its official placement it is as large as the network: 3.5M parameters and 346M "
        "multiply-adds more in MobileNetV2.",
        "At small widths the choice outweighs the convolutions: d is never below 32.",
    ),
    license="no licence (implus/SKNet)",
)
