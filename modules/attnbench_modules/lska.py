"""Large Separable Kernel Attention: Rethinking the Large Kernel Attention Design in CNN.

Expert Systems with Applications 2024, https://arxiv.org/abs/2309.01439.
Original code: https://github.com/StevenLauHKHK/Large-Separable-Kernel-Attention

LKA (lka.py) with each of its two depthwise convolutions taken apart once more, into a row and a
column; fk is a 1 x k and then a k x 1 convolution, depthwise:

    s = f_b dilated by d (f_a(x))                              (B, C, H, W)
    y = x * (W s)                                              (B, C, H, W)

All five have biases, and there is no sigmoid. The size k of the kernel that they stand for sets a,
b and d: 7 (3, 3, 2), 11 (3, 5, 2), 23 (5, 7, 3), 35 (5, 11, 3), 41 (5, 13, 3), 53 (5, 17, 3).
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from attnbench.cards import Card, Constraint, Paper, Traits
from attnbench_modules._folding import conv, copied
from attnbench_modules._large_kernel import NO_SIGMOID_TRAP, PLACE_NOTE, START_NOTE, quick
from attnbench_modules._layers import strip_pair
from attnbench_modules._shared import check, whole
from attnbench_modules.fused_large_kernel import FusedLargeKernel

KERNELS = {
    7: (3, 3, 2),
    11: (3, 5, 2),
    23: (5, 7, 3),
    35: (5, 11, 3),
    41: (5, 13, 3),
    53: (5, 17, 3),
}
"""The size to the taps of the near strips, those of the far strips, and their dilation."""


class LSKA(nn.Module):
    """Scale each value by what surrounds it far and near: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, kernel_size: int = 23) -> None:
        super().__init__()
        check(type(self), channels, kernel_size=kernel_size)
        near, far, dilation = KERNELS[kernel_size]
        self.near = strip_pair(channels, near)
        self.far = strip_pair(channels, far, dilation=dilation)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scale each value: (B, C, H, W) -> (B, C, H, W)."""
        gate = x
        for layer in (*self.near, *self.far, self.mix):
            gate = layer(gate)
        return x * gate

    def fuse(self) -> FusedLargeKernel:
        """Return the inference form: the same output, strips where they are fast.

        Raises:
            TypeError: a layer is no longer the one that this class builds.
        """
        strips = (quick(conv(strip)) for strip in (*self.near, *self.far))
        return FusedLargeKernel(nn.Sequential(*strips), copied(self.mix)).eval()


def params(channels: int, *, kernel_size: int = 23, **_options: Any) -> int:
    """Return C^2 + (2a + 2b + 5)C: W, the strips' weights, and five biases."""
    near, far, _ = KERNELS[kernel_size]
    return channels**2 + (2 * near + 2 * far + 5) * channels


def macs(channels: int, height: int, width: int, *, kernel_size: int = 23, **_options: Any) -> int:
    """Return (C^2 + (2a + 2b)C)N."""
    near, far, _ = KERNELS[kernel_size]
    return (channels**2 + 2 * (near + far) * channels) * height * width


LSKA.card = Card(
    title="Large separable kernel attention (LSKA)",
    family="large-kernel",
    paper=Paper(
        key="lau2024large",
        title=(
            "Large Separable Kernel Attention: Rethinking the Large Kernel Attention Design in CNN"
        ),
        authors=("Lau, Kin Wai", "Po, Lai-Man", "Rehman, Yasar Abbas Ur"),
        venue="Expert Systems with Applications",
        kind="article",
        short="Lau, ESWA'24",
        year=2024,
        url="https://arxiv.org/abs/2309.01439",
    ),
    traits=Traits(conv1x1=True),
    options={"kernel_size": "k, the kernel that the strips stand for: 7, 11, 23, 35, 41 or 53"},
    constraints=(
        whole("channels"),
        Constraint(
            "kernel_size must be one of those of the paper: 7, 11, 23, 35, 41, 53",
            lambda channels, kernel_size=23, **_: (
                type(kernel_size) is int and kernel_size in KERNELS
            ),
        ),
    ),
    official={"*": "after-project:all"},
    official_note=f"The original takes LKA's place in VAN: {PLACE_NOTE}",
    params=params,
    macs=macs,
    params_text="C^2 + (2a + 2b + 5)C; C^2 + 29C for k = 23",
    macs_text="(C^2 + (2a + 2b)C)N; (C^2 + 24C)N for k = 23",
    formula_tex=r"""s = f_{b,d}\left(f_a(x)\right)
y = \left(W s\right) \odot x""",
    deviations=(
        "The original class has no default for k; here it is 23, which reaches as far as LKA.",
        "The gate alone, as in LKA: the 1x1 convolutions and the shortcut around it are left out.",
        START_NOTE,
    ),
    timm="timm has none.",
    traps=(
        NO_SIGMOID_TRAP,
        "It saves multiply-adds, not calls: four small depthwise convolutions instead of two.",
        "The far strips of k = 53 span 49 positions: on a 14x14 map 8 of their 17 taps see nothing "
        "but the padding, on a 7x7 map 12.",
    ),
    license="Apache-2.0 (StevenLauHKHK/Large-Separable-Kernel-Attention)",
)
