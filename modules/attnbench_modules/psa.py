"""EPSANet: An Efficient Pyramid Squeeze Attention Block on Convolutional Neural Network.

ACCV 2022, https://arxiv.org/abs/2105.14447. Original code: https://github.com/murufeng/EPSANet

Four convolutions of growing kernel and number of groups, k = 3, 5, 7, 9 and G = 1, 4, 8, 16, each
from all channels to s = C/4, and for each of these s channels a choice between the four:

    ui = fk x k, G groups(x), i = 1 ... 4                      (B, C/4, H, W) each
    zi = sigmoid(W2 relu(W1 mean(ui)))                         (B, C/4, 1, 1), shared, s/r hidden
    a1, a2, a3, a4 = softmax of (z1, z2, z3, z4)               (B, C/4, 1, 1), their sum is 1
    y = [a4 * u4; a3 * u3; a2 * u2; a1 * u1]                   (B, C, H, W)

This is no gate on x: it stands for a 3x3 convolution, and nothing of x goes around it. W1 and W2
have biases, the convolutions none.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Constraint, Paper, Traits
from attnbench_modules._shared import SQUEEZE_NOTE, check, largest_divisor, squeezed, whole
from attnbench_modules.fused_psa import FusedPSA, shares

BRANCHES = ((9, 16), (7, 8), (5, 4), (3, 1))
"""Kernel and groups, in the order of the output, which is the original's: the largest first."""


class PSA(nn.Module):
    """Convolve at four reaches and weigh by channel: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        check(type(self), channels, reduction=reduction)
        share = channels // len(BRANCHES)
        self.branches = nn.ModuleList(
            nn.Conv2d(
                channels,
                share,
                kernel,
                padding=kernel // 2,
                groups=largest_divisor(share, groups),
                bias=False,
            )
            for kernel, groups in BRANCHES
        )
        self.squeeze = nn.Linear(share, squeezed(share, reduction))
        self.excite = nn.Linear(squeezed(share, reduction), share)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh what the four convolutions give: (B, C, H, W) -> (B, C, H, W)."""
        features = torch.cat([branch(x) for branch in self.branches], dim=1)
        return features * shares(features, self.squeeze, self.excite, len(BRANCHES))

    def fuse(self) -> FusedPSA:
        """Return the inference form: the same output, in the faster memory layout."""
        return FusedPSA(self.branches, self.squeeze, self.excite).eval()


def params(channels: int, *, reduction: int = 16, **_options: Any) -> int:
    """Return Cs k^2/G for each convolution, and 2sh + h + s for the choice, s = C/4."""
    share = channels // len(BRANCHES)
    hidden = squeezed(share, reduction)
    return _weights(channels) + 2 * share * hidden + hidden + share


def macs(channels: int, height: int, width: int, *, reduction: int = 16, **_options: Any) -> int:
    """Return CsN k^2/G for each convolution, and 8sh for the choice, which runs four times."""
    share = channels // len(BRANCHES)
    choice = 2 * len(BRANCHES) * share * squeezed(share, reduction)
    return _weights(channels) * height * width + choice


def _weights(channels: int) -> int:
    """Return the weights of the four convolutions."""
    share = channels // len(BRANCHES)
    return sum(
        channels // largest_divisor(share, groups) * share * kernel**2
        for kernel, groups in BRANCHES
    )


PSA.card = Card(
    title="Pyramid squeeze attention (PSA, EPSANet)",
    family="mixed",
    paper=Paper(
        key="zhang2022epsanet",
        title=(
            "EPSANet: An Efficient Pyramid Squeeze Attention Block on Convolutional Neural Network"
        ),
        authors=("Zhang, Hu", "Zu, Keke", "Lu, Jian", "Zou, Yuru", "Meng, Deyu"),
        venue="Asian Conference on Computer Vision (ACCV)",
        short="Zhang, ACCV'22",
        year=2022,
        url="https://arxiv.org/abs/2105.14447",
    ),
    traits=Traits(mlp=True),
    options={"reduction": "r, channels of a branch over hidden channels of the choice"},
    constraints=(
        whole("channels"),
        Constraint(
            "channels must be a multiple of 4: each of the four convolutions gives a quarter",
            lambda channels, **_: channels % len(BRANCHES) == 0,
        ),
        whole("reduction"),
    ),
    official={"*": "after-project:all"},
    official_note=(
        "The original replaces the 3x3 convolution of a ResNet bottleneck, where the channels are "
        "few. Our translation: behind the last pointwise convolution of every MobileNet block, "
        "where a MobileNet's channels are few; the depthwise convolution stays."
    ),
    params=params,
    macs=macs,
    params_text=(
        "Cs (9 + 25/G2 + 49/G3 + 81/G4) + 2sh + h + s, s = C/4, h = max(1, s//r); "
        "6.609375C^2 + 2sh + h + s where s is a multiple of 16"
    ),
    macs_text="CsN (9 + 25/G2 + 49/G3 + 81/G4) + 8sh",
    formula_tex=r"""u_i = f_i^{k_i \times k_i}(x), \quad k = 3, 5, 7, 9
z_i = \sigma\left(W_2\,\mathrm{ReLU}\left(W_1\,\mathrm{mean}_{HW}(u_i)\right)\right)
a_1, a_2, a_3, a_4 = \mathrm{softmax}(z_1, z_2, z_3, z_4)
y = \left[a_4 \odot u_4; a_3 \odot u_3; a_2 \odot u_2; a_1 \odot u_1\right]""",
    deviations=(
        "A convolution, not a gate: it is kept at stride 1 and C channels in and out, so that it "
        "can stand anywhere.",
        "Each G is the original's where s = C/4 is a multiple of it, else the largest divisor of s "
        "below: 4, 4, 4 at 16 channels, 3, 6, 6 at 24. The original fails there.",
        SQUEEZE_NOTE,
    ),
    timm="timm has none.",
    traps=(
        "The paper splits the input between the convolutions; the code, as here, gives all of it "
        "to each, and its published sizes are the code's.",
        "The code, as here, puts the branches together in reverse: the 9x9 one comes first.",
        "A softmax of sigmoids is flat: every share lies between 0.10 and 0.48.",
        "It replaces x: in a pretrained network everything behind it has to be learnt anew.",
        "On expanded channels it would be far larger than the network itself: 6.6C^2 parameters.",
        "Not the polarized self-attention that goes by the same letters.",
    ),
    license="MIT (murufeng/EPSANet)",
)
