"""ELA: Efficient Local Attention for Deep Convolutional Neural Networks.

arXiv 2024, https://arxiv.org/abs/2403.01123. No original code was found.

Coordinate attention without the detour through few channels, and with a group norm:

    zh, zw = means of the rows, of the columns of x            (B, C, H), (B, C, W)
    gh, gw = sigmoid(GN(conv_k(zh))), sigmoid(GN(conv_k(zw)))  (B, C, H, 1), (B, C, 1, W)
    y = x * gh * gw                                            (B, C, H, W)

conv_k is a depthwise 1-D convolution of k taps without bias. Rows and columns share it and the
norm. This is the variant ELA-B as public copies have it: k = 7, 16 groups in the norm.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from attnbench.cards import Card, Traits
from attnbench_modules import papers
from attnbench_modules._layers import strip_conv
from attnbench_modules._norms import GroupNorm
from attnbench_modules._pooling import gated_by_strips, strips
from attnbench_modules._shared import (
    IN_PLACE_OF_SE,
    QUARTERS,
    check,
    largest_divisor,
    odd,
    split_by,
    whole,
)


class ELA(nn.Module):
    """Gate each channel's rows and columns by their neighbours: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(
        self, channels: int, *, kernel_size: int = 7, norm_groups: int | None = None
    ) -> None:
        super().__init__()
        check(type(self), channels, kernel_size=kernel_size, norm_groups=norm_groups)
        self.conv = strip_conv(channels, kernel_size)
        self.norm = GroupNorm(norm_groups or largest_divisor(channels, 16), channels)

    def forward(self, x: Tensor) -> Tensor:
        """Gate rows and columns: (B, C, H, W) -> (B, C, H, W)."""
        rows, columns = strips(x)
        return gated_by_strips(x, self.norm(self.conv(rows)), self.norm(self.conv(columns)))


def params(channels: int, *, kernel_size: int = 7, **_options: Any) -> int:
    """Return kC for the convolution and 2C for the norm."""
    return (kernel_size + 2) * channels


def macs(channels: int, height: int, width: int, *, kernel_size: int = 7, **_options: Any) -> int:
    """Return kC(H + W)."""
    return kernel_size * channels * (height + width)


ELA.card = Card(
    title="Efficient local attention (ELA-B)",
    family="mixed",
    paper=papers.ELA,
    traits=Traits(),
    options={
        "kernel_size": "k, odd",
        "norm_groups": "groups of the group norm; none = the largest divisor of C up to 16",
    },
    constraints=(
        whole("channels"),
        odd("kernel_size", "the gates would change their length"),
        split_by("norm_groups"),
    ),
    official={**IN_PLACE_OF_SE, "*": "after-depthwise:all"},
    official_note=(
        "Where the paper puts it in MobileNetV2 could not be verified. Ours is the place of "
        "coordinate attention, which it improves on: after the depthwise convolution with its norm "
        "and activation; in MobileNetV3, in place of its SE."
    ),
    params=params,
    macs=macs,
    params_text="(k + 2) C",
    macs_text="kC (H + W)",
    formula_tex=r"""z_h = \mathrm{mean}_W(x), \quad z_w = \mathrm{mean}_H(x)
g_h = \sigma\left(\mathrm{GN}\left(\mathrm{conv}_k(z_h)\right)\right)
g_w = \sigma\left(\mathrm{GN}\left(\mathrm{conv}_k(z_w)\right)\right)
y = g_h \odot g_w \odot x""",
    deviations=(
        "Written from public descriptions and copies of the paper's module, which agree on this "
        "variant; its settings could not be checked against the paper. The tiny, small and large "
        "ones are left out.",
        "16 groups do not divide 24, 40, 72 or 120 channels: there the norm has the largest "
        "divisor of C below 16. norm_groups=16 insists.",
    ),
    timm=(
        "timm's has a convolution and a norm of one group for each direction (18C parameters), and "
        "a SiLU before the sigmoid: another module."
    ),
    traps=(
        "With as many groups as channels a strip of one position is normalised to nothing: at 16 "
        "channels a 1x1 map is scaled by a constant.",
        QUARTERS,
    ),
    license="no original code found",
)
