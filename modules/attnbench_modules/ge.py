"""Gather-Excite: Exploiting Feature Context in Convolutional Neural Networks.

NeurIPS 2018, https://arxiv.org/abs/1810.12348. Original code: https://github.com/hujie-frank/GENet

Each channel gathers its surroundings, the extent e, onto a coarse map and is gated by that:

    g = gather_e(x)                                            (B, C, H/e, W/e); 1x1 if global
    y = x * sigmoid(nearest(excite(g)))                        (B, C, H, W)

theta-minus  gather: the mean (over 2e - 1 by 2e - 1 positions, stride e); no parameters
theta        gather: depthwise convolutions with BN, log2(e) of 3x3 with stride 2 and ReLU between,
             or one as large as the map if global
theta-plus   as theta; excite: ReLU and two 1x1 convolutions through C/r channels, as in SE

extent=0 is the global extent. Its convolution has the size of the maps, feature_size; a map of
another size is pooled to it first.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnbench.cards import Card, Constraint, Traits
from attnbench_modules import papers
from attnbench_modules._folding import conv, folded
from attnbench_modules._layers import bottleneck
from attnbench_modules._norms import BATCH_NORM_NOTE, BatchNorm
from attnbench_modules._pooling import channel_means, local_means, resized
from attnbench_modules._shared import (
    AS_SE,
    SQUEEZE_NOTE,
    WHERE_SE_STANDS_NOTE,
    check,
    one_of,
    squeezed,
    whole,
)
from attnbench_modules.fused_ge import FusedGE

Variant = Literal["theta-minus", "theta", "theta-plus"]
EXTENTS = {0: 1, 2: 1, 4: 2, 8: 3}
"""Extent to the number of convolutions that gather it; 0 is the global one."""


class GE(nn.Module):
    """Gate each position by what its channel holds around it: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(
        self,
        channels: int,
        *,
        feature_size: tuple[int, int] | None = None,
        variant: Variant = "theta-minus",
        extent: int = 0,
        reduction: int = 16,
    ) -> None:
        super().__init__()
        check(type(self), channels, variant=variant, extent=extent, reduction=reduction)
        self.extent = extent
        height, width = feature_size or SIZE
        self.size = (height, width)
        self.gather: nn.Sequential | None = None
        if variant != "theta-minus":
            self.gather = nn.Sequential(*_gathering(channels, extent, self.size))
        self.excite: nn.Sequential | None = None
        if variant == "theta-plus":
            self.excite = nn.Sequential(
                nn.ReLU(), *bottleneck(channels, squeezed(channels, reduction))
            )

    def forward(self, x: Tensor) -> Tensor:
        """Gate each position: (B, C, H, W) -> (B, C, H, W)."""
        scores = self._gathered(x)
        if self.excite is not None:
            scores = self.excite(scores)
        gate = torch.sigmoid(scores)  # before it is large: fewer values
        return x * (F.interpolate(gate, size=x.shape[2:]) if self.extent else gate)

    def _gathered(self, x: Tensor) -> Tensor:
        """Return the surroundings: (B, C, H, W) -> (B, C, H', W')."""
        if self.gather is None:
            return local_means(x, self.extent) if self.extent else channel_means(x)
        gathered: Tensor = self.gather(x if self.extent else resized(x, self.size))
        return gathered

    def fuse(self) -> FusedGE:
        """Return the inference form: no batch norm; the global convolution is a weighted sum.

        Raises:
            TypeError: a layer is no longer the one that this class builds.
        """
        layers = [] if self.gather is None else list(self.gather)
        pairs = zip(layers[0::3], layers[1::3], strict=True)  # convolution, norm, ReLU, ...
        return FusedGE(
            [folded(conv(layer), norm) for layer, norm in pairs],
            self.excite,
            self.extent,
            self.size,
        ).eval()


SIZE = (7, 7)
"""Size of the global convolution where no feature size is given: the paper's last stage."""


def _gathering(channels: int, extent: int, size: tuple[int, int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for _ in range(EXTENTS[extent]):
        layers.append(
            nn.Conv2d(channels, channels, 3, stride=2, padding=1, groups=channels, bias=False)
            if extent
            else nn.Conv2d(channels, channels, size, groups=channels, bias=False)
        )
        layers += [BatchNorm(channels), nn.ReLU()]
    return layers[:-1]


def params(
    channels: int,
    *,
    feature_size: tuple[int, int] | None = None,
    variant: Variant = "theta-minus",
    extent: int = 0,
    reduction: int = 16,
    **_options: Any,
) -> int:
    """Return 0, or C times the kernels and two for each norm, and 2Ch + h + C for theta-plus."""
    if variant == "theta-minus":
        return 0
    height, width = feature_size or SIZE
    kernel = 9 if extent else height * width
    gather = EXTENTS[extent] * (kernel + 2) * channels
    hidden = squeezed(channels, reduction) if variant == "theta-plus" else 0
    return gather + (2 * channels * hidden + hidden + channels if hidden else 0)


def macs(
    channels: int,
    height: int,
    width: int,
    *,
    feature_size: tuple[int, int] | None = None,
    variant: Variant = "theta-minus",
    extent: int = 0,
    reduction: int = 16,
    **_options: Any,
) -> int:
    """Return 0, or 9C for each position of each coarser map (CN if global), and theirs of the MLP.

    Without a feature size the global convolution is counted as large as the map.
    """
    if variant == "theta-minus":
        return 0
    kernel_height, kernel_width = feature_size or (height, width)
    gather, positions = kernel_height * kernel_width, 1
    if extent:
        gather = 0
        for _ in range(EXTENTS[extent]):
            height, width = -(-height // 2), -(-width // 2)
            positions = height * width
            gather += 9 * positions
    hidden = squeezed(channels, reduction) if variant == "theta-plus" else 0
    return channels * gather + 2 * channels * hidden * positions


GE.card = Card(
    title="Gather-excite (GE)",
    family="channel",
    paper=papers.GATHER_EXCITE,
    traits=Traits(),
    options={
        "variant": "theta-minus = means; theta = depthwise convolutions; theta-plus = and an MLP",
        "extent": "e, how far a channel gathers: 2, 4, 8; 0 = everywhere",
        "reduction": "channels over hidden channels of the MLP of theta-plus",
    },
    constraints=(
        whole("channels"),
        one_of("variant", "theta-minus", "theta", "theta-plus"),
        Constraint(
            "extent must be 2, 4 or 8, or 0 for the whole map",
            lambda channels, extent=0, **_: type(extent) is int and extent in EXTENTS,
        ),
        whole("reduction"),
    ),
    official=AS_SE,
    official_note=WHERE_SE_STANDS_NOTE,
    params=params,
    macs=macs,
    params_text=(
        "theta-minus 0; theta C(hw + 2), or 11C log2(e) with an extent; theta-plus 2Ch + h + C more"
    ),
    macs_text=(
        "theta-minus 0; theta CN, or 9C for each position of each coarser map; theta-plus 2Ch for "
        "each gathered position more"
    ),
    formula_tex=r"""g = \mathrm{gather}_e(x)
y = \sigma\left(\mathrm{interp}\left(\mathrm{excite}(g)\right)\right) \odot x""",
    deviations=(
        "The original's global convolution takes maps of one size only; here others are pooled to "
        "it first.",
        "The released networks are all global; what an extent does is after the paper's "
        "description, with ReLU between convolutions but not after the last.",
        BATCH_NORM_NOTE,
        SQUEEZE_NOTE,
    ),
    timm=(
        "timm's GatherExcite cannot be built with its MLP or with parameters (1.0.31 raises "
        "TypeError); without both it is theta-minus. Its own default, means and an MLP, is SE."
    ),
    traps=(
        "With a global extent theta has C x H x W weights: 1.6 million for 512 channels on 56x56.",
        "theta-minus at the start, and for good, scales x by about one half.",
        "On a map of at most 8x8 positions the extent of 8 takes in all of it: theta-minus is then "
        "the same as with the global extent.",
    ),
    license="no licence (hujie-frank/GENet)",
)
