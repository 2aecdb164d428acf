"""Non-local Neural Networks.

CVPR 2018, https://arxiv.org/abs/1711.07971.
Original code: https://github.com/facebookresearch/video-nonlocal-net

The embedded Gaussian form:

    theta, phi, g = 1x1 convolutions of x                      (B, d, N) each, d = C/r, N = H*W
    A = softmax_j(theta^T phi / sqrt(d))                       (B, N, N), rows sum to 1
    y = x + BN(W(g A^T))                                       (B, C, H, W)

W is a 1x1 convolution back to C. The batch norm's weight starts at 0, so the block starts as the
identity. The original also pools phi and g by 2x2; here that is the option `sub_sample`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from attnbench.cards import Card, PrintedCost, Traits
from attnbench_modules import papers
from attnbench_modules._folding import folded
from attnbench_modules._shared import (
    BEFORE_NORM,
    PRINTED_SOURCE,
    SQUEEZE_NOTE,
    check,
    one_of,
    squeezed,
    whole,
)
from attnbench_modules.fused_non_local import FusedNonLocal, pool

SubSample = Literal["none", "input", "projection"]


class NonLocal(nn.Module):
    """Each position attends to all positions: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 2,
        sub_sample: SubSample = "none",
        scale: bool = True,
        norm: bool = True,
    ) -> None:
        super().__init__()
        check(
            type(self), channels, reduction=reduction, sub_sample=sub_sample, scale=scale, norm=norm
        )
        inner = squeezed(channels, reduction)
        self.sub_sample = sub_sample
        self.scale = inner**-0.5 if scale else 1.0
        self.theta = nn.Conv2d(channels, inner, 1)
        self.phi = nn.Conv2d(channels, inner, 1)
        self.g = nn.Conv2d(channels, inner, 1)
        self.out = nn.Conv2d(inner, channels, 1)
        self.norm = nn.BatchNorm2d(channels) if norm else nn.Identity()
        # The block starts as the identity: the last affine layer starts at zero.
        last = self.norm if isinstance(self.norm, nn.BatchNorm2d) else self.out
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Add what all positions send to each: (B, C, H, W) -> (B, C, H, W)."""
        source = pool(x) if self.sub_sample == "input" else x
        key, value = self.phi(source), self.g(source)
        if self.sub_sample == "projection":
            key, value = pool(key), pool(value)
        query = self.theta(x).flatten(2).transpose(1, 2) * self.scale  # (B, N, d)
        attention = torch.softmax(query @ key.flatten(2), dim=-1)  # (B, N, M)
        gathered = value.flatten(2) @ attention.transpose(1, 2)  # (B, d, N)
        y: Tensor = x + self.norm(self.out(gathered.unflatten(2, x.shape[2:])))
        return y

    def fuse(self) -> FusedNonLocal:
        """Return the inference form: the same output, projections in one, no batch norm."""
        return FusedNonLocal(
            self.theta, self.phi, self.g, folded(self.out, self.norm), self.sub_sample, self.scale
        ).eval()


def params(channels: int, *, reduction: int = 2, norm: bool = True, **_options: Any) -> int:
    """Return 4Cd + 3d + C for the convolutions, and 2C for the batch norm."""
    inner = squeezed(channels, reduction)
    return 4 * channels * inner + 3 * inner + channels + (2 * channels if norm else 0)


def macs(
    channels: int,
    height: int,
    width: int,
    *,
    reduction: int = 2,
    sub_sample: SubSample = "none",
    **_options: Any,
) -> int:
    """Return 2CdN + 2CdP + 2NMd: M keys, computed from P positions, P is M if the input is pooled.

    The first term is theta and W, the second phi and g, the third both matrix products.
    """
    inner, positions = squeezed(channels, reduction), height * width
    pooled = max(1, height // 2) * max(1, width // 2)
    keys = positions if sub_sample == "none" else pooled
    projected = pooled if sub_sample == "input" else positions
    return 2 * inner * (channels * (positions + projected) + positions * keys)


def _printed_params(channels: int, **_options: Any) -> int:
    return 2 * channels**2


def _printed_macs(channels: int, height: int, width: int, **_options: Any) -> int:
    return 2 * channels**2 * height * width


NonLocal.card = Card(
    title="Non-local block",
    family="non-local",
    paper=papers.NON_LOCAL,
    traits=Traits(conv1x1=True),
    options={
        "reduction": "channels over inner channels",
        "sub_sample": (
            "2x2 max-pooling of phi and g: none; input = before their convolutions, as in the "
            "original; projection = after them, as in AlexHex7/Non-local_pytorch"
        ),
        "scale": "divide the scores by the square root of the inner channels",
        "norm": "batch norm before the addition",
    },
    constraints=(
        whole("channels"),
        whole("reduction"),
        one_of("sub_sample", "none", "input", "projection"),
    ),
    official={
        "mobilenet_v1": "after:11",
        "mobilenet_v2": "after:13",
        "mobilenet_v3_large": "after:12",
        "mobilenet_v3_small": "after:8",
    },
    official_note=(
        "The paper puts one block into res4 of a ResNet, before its last block. Our translation: "
        "one block in the 14x14 stage, before the last block of that stage."
    ),
    params=params,
    macs=macs,
    params_text="4Cd + 3d + 3C, d = max(1, C//r); 2C less without norm",
    macs_text=(
        "4CdN + 2N^2 d, d = max(1, C//r); with M = floor(H/2) floor(W/2): 2CdN + 2CdM + 2NMd for "
        "sub_sample=input, 4CdN + 2NMd for projection"
    ),
    formula_tex=r"""\theta = W_\theta x + b_\theta, \quad \phi = W_\phi x + b_\phi
g = W_g x + b_g
A = \operatorname{softmax}_j\left(\theta^\top \phi / \sqrt{d}\right)
y = x + \mathrm{BN}\left(W g A^\top + b\right)""",
    printed=PrintedCost(
        source=PRINTED_SOURCE,
        params_text="2m^2",
        macs_text="2m^2*h*w",
        params_tex="2m^2",
        macs_tex="2m^2hw",
        params=_printed_params,
        macs=_printed_macs,
        differences=(
            "The printed parameters are the weights of the four convolutions at r = 2; biases "
            "(2.5C) and the batch norm (2C) are left out.",
            "The printed multiply-adds leave out both products with the N x N attention matrix, "
            "N^2 C in all.",
        ),
    ),
    deviations=(
        "No sub-sampling by default: every map size works, and the counts are those of the full "
        "block; sub_sample='input' brings the original's pooling back.",
        "With sub-sampling, a side of length 1 is not pooled, where the original fails.",
        "Without norm the last convolution starts at zero, so that the block still starts as the "
        "identity.",
        SQUEEZE_NOTE,
    ),
    timm=(
        "In timm 1.0.31 nl has C/8 inner channels (rounded to a multiple of 8, at least 8) where "
        "ours has C/2, and divides the scores by sqrt(C) where the original and ours divide by "
        "sqrt(d). It always has the batch norm and never pools. With reduction=8, scale=False, "
        "timm's use_scale=False and the weights copied the outputs are equal."
    ),
    traps=(
        "The attention matrix has N^2 entries for each image: 9.8 million on a 56x56 map.",
        "At the start only the last affine layer gets a gradient: everything before it is "
        "multiplied by zero.",
    ),
    dead={
        "phi.bias": "moves all scores of a row alike, which the softmax takes away",
        "g.bias": "rows sum to 1, so it reaches the batch norm as one shift of a channel, which in "
        "training it takes away; with norm=False it lives",
        "out.bias": f"{BEFORE_NORM}; with norm=False it lives",
    },
    license="CC-BY-NC-4.0 (facebookresearch/video-nonlocal-net)",
)
