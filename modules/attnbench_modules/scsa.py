"""SCSA: Exploring the Synergistic Effects Between Spatial and Channel Attention.

Neurocomputing 2025, https://arxiv.org/abs/2407.05128.
Original code: https://github.com/HZAI-ZJNU/SCSA

First rows and columns, then the channels by attention among themselves:

    zh, zw = means of the rows, of the columns of x            (B, C, H), (B, C, W)
    gh, gw = sigmoid(GN(conv(zh))), sigmoid(GN'(conv(zw)))     (B, C, H, 1), (B, C, 1, W)
    x' = x * gh * gw                                           (B, C, H, W)
    Z = GN''(pool(x'))                                         (B, C, n), n windows of 7 x 7
    Q, K, V = wq * Z, wk * Z, wv * Z                           (B, C, n), a factor a channel each
    y = x' * sigmoid(mean_n(softmax(Q K^T / sqrt(d)) V))       (B, C, H, W)

conv is depthwise, with 3, 5, 7 and 9 taps on a quarter of the channels each, shared by rows and
columns; GN and GN' have a group for each quarter, GN'' has one. d = C / heads. The attention is
C x C within each head. The mean over the windows is taken of V: the sum is the same, and shorter.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.cards import Card, Constraint, Paper, Traits
from attnbench_modules._folding import conv
from attnbench_modules._layers import strip_conv
from attnbench_modules._norms import GroupNorm
from attnbench_modules._pooling import channel_means, gated_by_strips, strips
from attnbench_modules._shared import IN_PLACE_OF_SE, check, split_by, whole
from attnbench_modules.fused_scsa import FusedSCSA, merged_scales

KERNEL_SIZES = (3, 5, 7, 9)


class SCSA(nn.Module):
    """Gate rows and columns, then channels: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, heads: int = 1, window_size: int = 7) -> None:
        super().__init__()
        check(type(self), channels, heads=heads, window_size=window_size)
        self.heads = heads
        self.window_size = window_size
        self.convs = nn.ModuleList(
            strip_conv(channels // 4, taps, bias=True) for taps in KERNEL_SIZES
        )
        self.norm_h = GroupNorm(4, channels)
        self.norm_w = GroupNorm(4, channels)
        self.norm = GroupNorm(1, channels)
        # a 1x1 depthwise convolution without bias is a factor a channel, and many times slower
        self.q, self.k, self.v = (
            nn.Parameter(torch.empty(channels, 1, 1).uniform_(-1, 1)) for _ in range(3)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply both: (B, C, H, W) -> (B, C, H, W)."""
        rows, columns = strips(x)
        row_scores = self.norm_h(self._multi_scale(rows))
        x = gated_by_strips(x, row_scores, self.norm_w(self._multi_scale(columns)))
        return x * torch.sigmoid(self._channel_scores(x))

    def _multi_scale(self, strip: Tensor) -> Tensor:
        """Convolve each quarter of the channels at its scale: (B, C, L, 1) -> the same."""
        quarters = strip.chunk(4, 1)
        return torch.cat([f(z) for f, z in zip(self.convs, quarters, strict=True)], 1)

    def _channel_scores(self, x: Tensor) -> Tensor:
        """Let the channels attend to each other: (B, C, H, W) -> (B, C, 1, 1)."""
        window = [min(self.window_size, side) for side in x.shape[2:]]
        z = self.norm(F.avg_pool2d(x, window))
        query, key = self._by_head(z * self.q), self._by_head(z * self.k)  # (B, heads, d, n)
        value = self._by_head(channel_means(z) * self.v)  # (B, heads, d, 1)
        scores = (query * query.shape[2] ** -0.5) @ key.transpose(2, 3)
        return (torch.softmax(scores, 3) @ value).reshape(*x.shape[:2], 1, 1)

    def _by_head(self, z: Tensor) -> Tensor:
        heads: Tensor = torch.unflatten(z.flatten(2), 1, (self.heads, -1))
        return heads

    def fuse(self) -> FusedSCSA:
        """Return the inference form: the same output, one convolution for the four scales.

        Raises:
            TypeError: a layer is no longer the one that this class builds.
        """
        norms = [
            copy.deepcopy(one).requires_grad_(False)
            for one in (self.norm_h, self.norm_w, self.norm)
        ]
        q, k, v = (one.detach().clone().view(self.heads, -1, 1) for one in (self.q, self.k, self.v))
        scales = merged_scales([conv(layer) for layer in self.convs])
        return FusedSCSA(scales, norms, (q * q.shape[1] ** -0.5, k, v), self.window_size).eval()


def params(channels: int, **_options: Any) -> int:
    """Return 16C: 7C in the convolutions, 6C in the norms, 3C for Q, K and V."""
    return 16 * channels


def macs(
    channels: int,
    height: int,
    width: int,
    *,
    heads: int = 1,
    window_size: int = 7,
    **_options: Any,
) -> int:
    """Return 6C(H + W) + (n + 1)C^2/heads."""
    windows = (height // min(window_size, height)) * (width // min(window_size, width))
    attention = (windows + 1) * channels * (channels // heads)
    return 6 * channels * (height + width) + attention


SCSA.card = Card(
    title="Spatial and channel synergistic attention (SCSA)",
    family="mixed",
    paper=Paper(
        key="si2025scsa",
        title="SCSA: Exploring the Synergistic Effects Between Spatial and Channel Attention",
        authors=(
            "Si, Yunzhong",
            "Xu, Huiying",
            "Zhu, Xinzhong",
            "Zhang, Wenhao",
            "Dong, Yao",
            "Chen, Yuxing",
            "Li, Hongbo",
        ),
        venue="Neurocomputing",
        kind="article",
        short="Si, Neurocomputing'25",
        year=2025,
        url="https://arxiv.org/abs/2407.05128",
    ),
    traits=Traits(subspace=True),
    options={
        "heads": "of the attention among channels",
        "window_size": "side of the windows that are averaged before it; at most the map's",
    },
    constraints=(
        whole("channels"),
        whole("heads"),
        whole("window_size"),
        Constraint(
            "channels must be a multiple of 4: each quarter has a scale of its own",
            lambda channels, **_: channels % 4 == 0,
        ),
        split_by("heads"),
    ),
    official={**IN_PLACE_OF_SE, "*": "after-depthwise:all"},
    official_note=(
        "The original MobileNetV2 has it on the expanded channels, after the depthwise convolution "
        "with its norm and activation, in every block. Our translation: the same place in other "
        "networks; in MobileNetV3, in place of its SE."
    ),
    params=params,
    macs=macs,
    params_text="16C",
    macs_text="6C(H + W) + (n + 1)C^2/heads, n = (H//7)(W//7)",
    formula_tex=r"""z_h = \mathrm{mean}_W(x), \quad z_w = \mathrm{mean}_H(x)
g_h = \sigma\left(\mathrm{GN}\left(\mathrm{conv}(z_h)\right)\right)
g_w = \sigma\left(\mathrm{GN}'\left(\mathrm{conv}(z_w)\right)\right)
x' = g_h \odot g_w \odot x
Z = \mathrm{GN}''\left(\mathrm{pool}(x')\right)
Q = w_q \odot Z, \quad K = w_k \odot Z, \quad V = w_v \odot Z
A = \mathrm{softmax}\left(\frac{Q K^T}{\sqrt{d}}\right)
y = \sigma\left(\mathrm{mean}_n(A V)\right) \odot x'""",
    deviations=(
        "On maps smaller than the window the original fails; here the window is then the map.",
        "heads has no default in the original, its ImageNet configurations have 1. The options for "
        "other poolings, a softmax gate and dropout are left out.",
        "The original multiplies the attention with all windows' values and averages then, and "
        "makes Q, K and V by 1x1 depthwise convolutions, which here are factors: (n - 1)C^2/heads "
        "+ 3nC multiply-adds more for the same output.",
    ),
    timm="timm has none.",
    traps=(
        "Rows and columns beyond the last whole window are not seen by the attention among "
        "channels.",
        "On maps under 14 x 14 there is one window: the attention is softmax of a product of "
        "numbers, not of vectors.",
        "The attention has C^2 values: with 960 channels it outweighs all else.",
        "At the start it scales x to well under one half, so it disturbs pretrained weights.",
    ),
    license="Apache-2.0 (HZAI-ZJNU/SCSA)",
)
