"""Contextual Transformer Networks for Visual Recognition.

IEEE TPAMI 2023, https://arxiv.org/abs/2107.12292. Original code: https://github.com/JDAI-CV/CoTNet

Keys that have seen their neighbours tell, at each position, how the values around it are summed up;
then a choice between sums and keys, for each channel. Eight channels share a set of k^2 weights:

    u = relu(BN(fk x k, 4 groups(x)))                          (B, C, H, W), the keys
    w = GN(W2 relu(BN(W1 [x; u])))                             (B, C/8, k^2, H, W), through C/2
    s = SiLU(BN(sum over k x k of w * BN(W3 x)))               (B, C, H, W), w of channel c mod C/8
    a1, a2 = softmax of W5 relu(BN(W4 mean(s + u)))            (B, C, 1, 1), through max(C/2, 32)
    y = a1 * s + a2 * u                                        (B, C, H, W)

This is no gate on x: it stands for a 3x3 convolution, and nothing of x goes around it. W2, W4 and
W5 have biases.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Constraint, Paper, Traits
from attnbench_modules._folding import conv, folded, linear
from attnbench_modules._norms import BATCH_NORM_NOTE, BatchNorm, GroupNorm
from attnbench_modules._pooling import channel_means
from attnbench_modules._shared import BEFORE_NORM, check, odd, squeezed, whole
from attnbench_modules.fused_cot import FusedCoT, local_sums, scaled_by_norm

SHARING = 8
"""Channels that share a set of weights."""

GROUPS = 4
"""Groups of the convolution that gives the keys."""


class CoT(nn.Module):
    """Sum up neighbours by their context, and choose: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, kernel_size: int = 3) -> None:
        super().__init__()
        check(type(self), channels, kernel_size=kernel_size)
        self.kernel_size = kernel_size
        weights, hidden = kernel_size**2 * channels // SHARING, _hidden(channels)
        half = kernel_size // 2
        self.key = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size, padding=half, groups=GROUPS, bias=False),
            BatchNorm(channels),
            nn.ReLU(),
        )
        self.embed = nn.Sequential(
            nn.Conv2d(2 * channels, channels // 2, 1, bias=False),
            BatchNorm(channels // 2),
            nn.ReLU(),
            nn.Conv2d(channels // 2, weights, 1),
            GroupNorm(channels // SHARING, weights),
        )
        self.value = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=False), BatchNorm(channels)
        )
        self.norm = nn.Sequential(BatchNorm(channels), nn.SiLU())
        self.squeeze = nn.Sequential(nn.Conv2d(channels, hidden, 1), BatchNorm(hidden), nn.ReLU())
        self.select = nn.Conv2d(hidden, 2 * channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Sum up neighbours and choose: (B, C, H, W) -> (B, C, H, W)."""
        keys = self.key(x)
        weights = self.embed(torch.cat([x, keys], dim=1))  # (B, k^2 C/8, H, W)
        sums = self.norm(local_sums(self.value(x), weights, self.kernel_size))
        pooled = channel_means(sums) + channel_means(keys)  # (B, C, 1, 1)
        scores = torch.unflatten(self.select(self.squeeze(pooled)), 1, (-1, 2))  # (B, C, 2, 1, 1)
        shares = scores.softmax(2)
        mixed: Tensor = sums * shares[:, :, 0] + keys * shares[:, :, 1]
        return mixed

    def fuse(self) -> FusedCoT:
        """Return the inference form: no batch norm, and one score for the choice instead of two.

        Raises:
            TypeError: a layer is no longer the one that this class builds.
        """
        value, squeeze = (folded(conv(one[0]), one[1]) for one in (self.value, self.squeeze))
        embed = (
            folded(conv(self.embed[0]), self.embed[1]),
            folded(conv(self.embed[3]), nn.Identity()),
            self.embed[4],
        )
        return FusedCoT(
            folded(conv(self.key[0]), self.key[1]),
            embed,
            scaled_by_norm(value, self.norm[0]),
            (linear(squeeze), linear(self.select)),
        ).eval()


def _hidden(channels: int) -> int:
    """Return the hidden channels of the choice."""
    return squeezed(channels, 2, minimum=32)


def params(channels: int, *, kernel_size: int = 3, **_options: Any) -> int:
    """Return k^2 C^2/4 + 2C for the keys, 2C^2 + 5C for values and W1, and theirs of the others.

    W2 with its norm has k^2 C^2/16 + 3 k^2 C/8, the choice 3Ch + 3h + 2C.
    """
    hidden, weights = _hidden(channels), kernel_size**2 * channels // SHARING
    keys = kernel_size**2 * channels**2 // GROUPS + 2 * channels
    summing = weights * (channels // 2) + 3 * weights + 2 * channels**2 + 5 * channels
    return keys + summing + 3 * channels * hidden + 3 * hidden + 2 * channels


def macs(channels: int, height: int, width: int, *, kernel_size: int = 3, **_options: Any) -> int:
    """Return (k^2 C^2/4 + 2C^2 + k^2 C^2/16)N + 3Ch.

    The sums over neighbours are products by element, not a layer: k^2 CN that are not in it.
    """
    weights = kernel_size**2 * channels // SHARING
    keys = kernel_size**2 * channels**2 // GROUPS
    layers = keys + 2 * channels**2 + weights * (channels // 2)
    return layers * height * width + 3 * channels * _hidden(channels)


CoT.card = Card(
    title="Contextual transformer (CoT)",
    family="mixed",
    paper=Paper(
        key="li2023contextual",
        title="Contextual Transformer Networks for Visual Recognition",
        authors=("Li, Yehao", "Yao, Ting", "Pan, Yingwei", "Mei, Tao"),
        venue="IEEE Transactions on Pattern Analysis and Machine Intelligence (TPAMI)",
        kind="article",
        short="Li, TPAMI'23",
        year=2023,
        url="https://arxiv.org/abs/2107.12292",
    ),
    traits=Traits(mlp=True, conv1x1=True),
    options={"kernel_size": "k, odd: side of the neighbourhood, for keys and sums"},
    constraints=(
        whole("channels"),
        Constraint(
            "channels must be a multiple of 8: so many share a set of weights",
            lambda channels, **_: channels % SHARING == 0,
        ),
        odd("kernel_size", "the map would change its size"),
    ),
    official={"*": "after-project:all"},
    official_note=(
        "The original replaces the 3x3 convolution of a ResNet bottleneck, where the channels are "
        "few. Our translation: behind the last pointwise convolution of every MobileNet block, "
        "where a MobileNet's channels are few; the depthwise convolution stays."
    ),
    params=params,
    macs=macs,
    params_text="(5k^2/16 + 2)C^2 + 9C + 3k^2 C/8 + 3Ch + 3h, h = max(C/2, 32)",
    macs_text="(5k^2/16 + 2)C^2 N + 3Ch, h = max(C/2, 32), without the k^2 CN of the sums",
    formula_tex=r"""u = \mathrm{ReLU}\left(\mathrm{BN}\left(f^{k \times k}(x)\right)\right)
w = \mathrm{GN}\left(W_2\,\mathrm{ReLU}\left(\mathrm{BN}\left(W_1\,[x; u]\right)\right)\right)
s_p = \mathrm{SiLU}\left(\mathrm{BN}\left(\sum_q w_{p,q}\,\mathrm{BN}(W_3 x)_{p+q}\right)\right)
a_1, a_2 = \mathrm{softmax}\left(W_5\,\mathrm{ReLU}(\mathrm{BN}(W_4\,\overline{s + u}))\right)
y = a_1 \odot s + a_2 \odot u""",
    deviations=(
        "A convolution, not a gate: it is kept at stride 1 and C channels in and out, so that it "
        "can stand anywhere.",
        "The original sums in a CUDA kernel of its own, and so runs on such devices alone; here it "
        "is k^2 shifted products in plain operators.",
        BATCH_NORM_NOTE,
    ),
    timm="timm has none.",
    dead={"squeeze.0.bias": BEFORE_NORM},
    traps=(
        "The sums over neighbours are k^2 CN multiply-adds that no count of layers shows: 0.9M on "
        "512x14x14 beside 248M.",
        "Well-known copies take a softmax of the weights over the whole map and add up what are "
        "two choices here: another module.",
        "It replaces x: in a pretrained network everything behind it has to be learnt anew.",
    ),
    license="Apache-2.0 (JDAI-CV/CoTNet)",
)
