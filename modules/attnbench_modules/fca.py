"""FcaNet: Frequency Channel Attention Networks.

ICCV 2021, https://arxiv.org/abs/2012.11879. Original code: https://github.com/cfzd/FcaNet

SE whose pooling is a discrete cosine transform. The channels are split into 16 parts, part i is
weighed with the 2-D cosine of the frequency (u_i, v_i); the mean is the frequency (0, 0):

    z_c = sum over positions of x_c * D_i                      (B, C), c in part i
    D_i(a, b) = k_u cos(pi u (a + 1/2) / H) * k_v cos(pi v (b + 1/2) / W)
    s = sigmoid(W2 relu(W1 z))                                 (B, C), through C/r channels, no bias
    y = x * s                                                  (B, C, H, W)

k_0 = sqrt(1/n) and k_u = sqrt(2/n) for n = H or W. The frequencies, the 16 best of 49 on maps of
7x7, were chosen by experiment. On a larger map they are multiplied by H//7 and W//7. D is as large
as feature_size, 7x7 if none is given; a map of another size is pooled to it first.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnbench.cards import Card, Constraint, Paper, Traits
from attnbench_modules._pooling import channel_sums, resized
from attnbench_modules._shared import (
    AS_SE,
    SQUEEZE_NOTE,
    WHERE_SE_STANDS_NOTE,
    check,
    squeezed,
    whole,
)

FREQUENCIES = (
    *((0, 0), (0, 1), (6, 0), (0, 5), (0, 2), (1, 0), (1, 2), (4, 0)),
    *((5, 0), (1, 6), (3, 0), (0, 4), (0, 6), (0, 3), (3, 5), (2, 2)),
)
"""(u, v) on 7x7, the best first."""
GRID = 7
"""The frequencies are those of a map of so many rows and columns."""


class FCA(nn.Module):
    """Scale each channel by a gate from one frequency of each: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]
    basis: Tensor

    def __init__(
        self,
        channels: int,
        *,
        feature_size: tuple[int, int] | None = None,
        reduction: int = 16,
        frequencies: int = 16,
    ) -> None:
        super().__init__()
        check(type(self), channels, reduction=reduction, frequencies=frequencies)
        hidden = squeezed(channels, reduction)
        height, width = feature_size or (GRID, GRID)
        self.size = (height, width)
        self.squeeze = Projection(channels, hidden)
        self.excite = Projection(hidden, channels)
        basis = _basis(channels, self.size, frequencies).to(self.squeeze.weight)
        self.register_buffer("basis", basis, persistent=False)  # (1, C, h, w), known by its size

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels: (B, C, H, W) -> (B, C, H, W)."""
        spectrum = channel_sums(resized(x, self.size) * self.basis, keepdim=False)  # (B, C)
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(spectrum))))
        return x * gate[..., None, None]


class Projection(nn.Module):
    """A linear layer without bias: (B, C) -> (B, D).

    Not nn.Linear: timm's EfficientNets set the biases of all these to 0, and stop where there is
    none.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, channels))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # as nn.Linear starts

    def forward(self, x: Tensor) -> Tensor:
        """Project: (B, C) -> (B, D)."""
        return F.linear(x, self.weight)


def _basis(channels: int, size: tuple[int, int], frequencies: int) -> Tensor:
    """Return the cosine that each channel is weighed with, (1, C, h, w).

    The channels are split as evenly as they can be; fewer channels than frequencies take the best.
    """
    parts = min(channels, frequencies)
    rows, columns = _cosines(size[0]), _cosines(size[1])
    planes = [rows[u][:, None] * columns[v] for u, v in FREQUENCIES[:parts]]
    return torch.stack([planes[c * parts // channels] for c in range(channels)])[None]


def _cosines(length: int) -> Tensor:
    """Return the 7 cosines of one side, (7, length)."""
    whole_length = max(length, GRID)
    frequency = torch.arange(GRID, dtype=torch.double) * (whole_length // GRID)
    place = (torch.arange(whole_length, dtype=torch.double) + 0.5) / whole_length
    cosines = torch.cos(math.pi * frequency[:, None] * place) * math.sqrt(2 / whole_length)
    cosines[0] /= math.sqrt(2)
    if length == whole_length:
        return cosines
    # fewer than 7 rows are stretched to 7; that is linear, and done to the cosines beforehand
    stretched = F.adaptive_avg_pool1d(torch.eye(length, dtype=torch.double)[None], GRID)[0]
    return cosines @ stretched.T


def params(channels: int, *, reduction: int = 16, **_options: Any) -> int:
    """Return 2Ch; the cosines are no parameters."""
    return 2 * channels * squeezed(channels, reduction)


def macs(channels: int, height: int, width: int, *, reduction: int = 16, **_options: Any) -> int:
    """Return 2Ch: the layers see one vector. The weighted sum counts as pooling: not."""
    return 2 * channels * squeezed(channels, reduction)


FCA.card = Card(
    title="Frequency channel attention (FCA)",
    family="channel",
    paper=Paper(
        key="qin2021fcanet",
        title="FcaNet: Frequency Channel Attention Networks",
        authors=("Qin, Zequn", "Zhang, Pengyi", "Wu, Fei", "Li, Xi"),
        venue="IEEE/CVF International Conference on Computer Vision (ICCV)",
        short="Qin, ICCV'21",
        year=2021,
        url="https://arxiv.org/abs/2012.11879",
    ),
    traits=Traits(mlp=True),
    options={
        "reduction": "channels over hidden channels",
        "frequencies": "how many of the best frequencies, 1 to 16; 1 is the mean",
    },
    constraints=(
        whole("channels"),
        whole("reduction"),
        whole("frequencies"),
        Constraint(
            "frequencies must be at most 16",
            lambda channels, frequencies=16, **_: frequencies <= len(FREQUENCIES),
        ),
    ),
    official=AS_SE,
    official_note=WHERE_SE_STANDS_NOTE,
    params=params,
    macs=macs,
    params_text="2Ch, h = max(1, C//r)",
    macs_text="2Ch, h = max(1, C//r)",
    formula_tex=r"""z_c = \sum_{a,b} x_{c,a,b}\,D_{i,a,b}
D_{i,a,b} = k_u \cos\frac{\pi u_i (a + 1/2)}{H}\;k_v \cos\frac{\pi v_i (b + 1/2)}{W}
s = \sigma\left(W_2\,\mathrm{ReLU}(W_1 z)\right)
y = s \odot x""",
    deviations=(
        "The original needs C to be a multiple of the frequencies; here any C is split as evenly "
        "as it can be, which is the same where it is one.",
        "Of fewer than 7 rows or columns the original takes the mean along them; here they are "
        "stretched to 7 first.",
        "The cosines are not in the state dict: they follow from the sizes.",
        "The other choices of frequencies (the lowest, the worst, more than 16) are left out.",
        SQUEEZE_NOTE,
    ),
    timm="timm has none.",
    traps=(
        "The frequency (0, 0) gives sqrt(HW) times the mean, not the mean: with frequencies=1 it "
        "is SE with other starting weights.",
        "A map of one position has the frequency (0, 0) only: channels of the other parts give 0.",
        "The original's buffer of C x H x W values is in its state dict, so its checkpoints hold "
        "for one input size.",
        "A constant map is seen by a sixteenth of the channels only.",
    ),
    license="MIT (cfzd/FcaNet)",
)
