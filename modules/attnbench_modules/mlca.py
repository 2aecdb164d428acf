"""Mixed local channel attention for object detection.

Engineering Applications of Artificial Intelligence 123, 2023,
https://doi.org/10.1016/j.engappai.2023.106442. Original code: https://github.com/wandahangFY/MLCA

ECA twice, on the means of s x s patches and on the mean of these means:

    L = means of s x s patches of x                            (B, C, s, s)
    Gl = sigmoid(conv_k(L))                                    (B, C, s, s), patch after patch
    Gg = sigmoid(conv'_k(mean(L)))                             (B, C, 1, 1)
    y = x * unpool(w Gl + (1 - w) Gg)                          (B, C, H, W)

Both convolutions are 1-D, along the channels, of k weights without bias; k as in ECA. conv_k runs
over the channels of all patches in one row. Patches overlap by a row or column where s does not
divide the map, and unpool is the same average pooling back to H x W.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.cards import Card, Constraint, Paper, Traits
from attnbench_modules._layers import along, line_conv
from attnbench_modules._pooling import channel_means
from attnbench_modules._shared import HALVES, IN_PLACE_OF_SE, check, odd, whole
from attnbench_modules.eca import adaptive_kernel_size


class MLCA(nn.Module):
    """Scale each channel by gates of patches and of all: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(
        self,
        channels: int,
        *,
        local_size: int = 5,
        local_weight: float = 0.5,
        kernel_size: int | None = None,
    ) -> None:
        super().__init__()
        check(
            type(self),
            channels,
            local_size=local_size,
            local_weight=local_weight,
            kernel_size=kernel_size,
        )
        self.local_size = local_size
        self.local_weight = local_weight
        taps = kernel_size or adaptive_kernel_size(channels)
        self.conv = line_conv(taps)
        self.conv_local = line_conv(taps)

    def forward(self, x: Tensor) -> Tensor:
        """Apply both gates: (B, C, H, W) -> (B, C, H, W)."""
        means = F.adaptive_avg_pool2d(x, self.local_size)  # (B, C, s, s)
        rows = means.permute(0, 2, 3, 1)  # (B, s, s, C)
        patches = along(self.conv_local, rows).view(rows.shape)
        whole_map = along(self.conv, channel_means(means))  # (B, 1, C)
        gate = torch.lerp(
            torch.sigmoid(whole_map).unsqueeze(1), torch.sigmoid(patches), self.local_weight
        )  # (B, s, s, C)
        return x * F.adaptive_avg_pool2d(gate.permute(0, 3, 1, 2), (x.shape[2], x.shape[3]))


def params(channels: int, *, kernel_size: int | None = None, **_options: Any) -> int:
    """Return 2k."""
    return 2 * (kernel_size or adaptive_kernel_size(channels))


def macs(
    channels: int,
    height: int,
    width: int,
    *,
    local_size: int = 5,
    kernel_size: int | None = None,
    **_options: Any,
) -> int:
    """Return kC (s^2 + 1), whatever the map's size."""
    return (kernel_size or adaptive_kernel_size(channels)) * channels * (local_size**2 + 1)


MLCA.card = Card(
    title="Mixed local channel attention (MLCA)",
    family="mixed",
    paper=Paper(
        key="wan2023mixed",
        title="Mixed local channel attention for object detection",
        authors=(
            "Wan, Dahang",
            "Lu, Rongsheng",
            "Shen, Siyuan",
            "Xu, Ting",
            "Lang, Xianli",
            "Ren, Zhijie",
        ),
        venue="Engineering Applications of Artificial Intelligence 123",
        kind="article",
        short="Wan, EAAI'23",
        year=2023,
        url="https://doi.org/10.1016/j.engappai.2023.106442",
    ),
    traits=Traits(),
    options={
        "local_size": "s, patches along each side of the map",
        "local_weight": "w, of the patches' gate against the whole map's",
        "kernel_size": "k, odd; none = from the channels, as ECA does",
    },
    constraints=(
        whole("channels"),
        whole("local_size"),
        Constraint(
            "local_weight must be above 0 and below 1, or one of the two gates would do nothing",
            lambda channels, local_weight=0.5, **_: 0 < local_weight < 1,
        ),
        odd("kernel_size", "the gate would change its length"),
    ),
    official={**IN_PLACE_OF_SE, "*": "after-depthwise:all"},
    official_note=(
        "The original's MobileNetV3 has it in place of SE. Our translation: in other networks "
        "where MobileNetV3 has its SE, after the depthwise convolution with its norm and "
        "activation."
    ),
    params=params,
    macs=macs,
    params_text="2k, k odd, about log2(C)/2",
    macs_text="kC (s^2 + 1)",
    formula_tex=r"""L = \mathrm{pool}_{s \times s}(x)
G_l = \sigma\left(\mathrm{conv}_k(L)\right)
G_g = \sigma\left(\mathrm{conv}'_k\left(\mathrm{mean}(L)\right)\right)
y = \mathrm{unpool}\left(w\,G_l + (1 - w)\,G_g\right) \odot x""",
    timm="timm has none.",
    traps=(
        "The patches' convolution runs on from the last channel of one patch to the first of the "
        "next, in the original too.",
        "On maps smaller than s x s the patches repeat positions.",
        "The original's in_size is the number of channels.",
        HALVES,
    ),
    license="GPL-3.0 (wandahangFY/MLCA)",
)
