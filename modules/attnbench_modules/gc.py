"""GCNet: Non-Local Networks Meet Squeeze-Excitation Networks and Beyond.

ICCVW 2019, https://arxiv.org/abs/1904.11492. Original code: https://github.com/xvjiarui/GCNet

One weighted mean of all positions, transformed and added to each of them:

    a = softmax over positions of w x                          (B, 1, H, W), sums to 1
    c = sum over positions of a * x                            (B, C, 1, 1), the context
    t = W2 relu(LN(W1 c))                                      (B, C, 1, 1), h = max(8, C//r) hidden
    y = x + t                                                  (B, C, H, W)

w, W1 and W2 are 1x1 convolutions with bias. W2 starts at 0, so the block starts as the identity.
The original can also take the plain mean (`pooling`) or scale by sigmoid(t) (`fusion`).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Traits
from attnbench_modules import papers
from attnbench_modules._folding import linear, vector_norm
from attnbench_modules._pooling import channel_means, weighted_means
from attnbench_modules._shared import check, one_of, squeezed, whole
from attnbench_modules.fused_gc import FusedGC

Pooling = Literal["attention", "mean"]
Fusion = Literal["add", "scale"]


class GlobalContext(nn.Module):
    """Add one vector, the transformed context, to all positions: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        minimum: int = 8,
        pooling: Pooling = "attention",
        fusion: Fusion = "add",
    ) -> None:
        super().__init__()
        check(
            type(self),
            channels,
            reduction=reduction,
            minimum=minimum,
            pooling=pooling,
            fusion=fusion,
        )
        hidden = hidden_channels(channels, reduction, minimum)
        self.fusion = fusion
        self.mask = nn.Conv2d(channels, 1, 1) if pooling == "attention" else None
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.norm = nn.LayerNorm([hidden, 1, 1])
        self.relu = nn.ReLU()
        self.excite = nn.Conv2d(hidden, channels, 1)
        for parameter in self.excite.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Add the transformed context: (B, C, H, W) -> (B, C, H, W)."""
        context = weighted_means(x, self.mask(x)) if self.mask else channel_means(x)
        term: Tensor = self.excite(self.relu(self.norm(self.squeeze(context))))  # (B, C, 1, 1)
        return x + term if self.fusion == "add" else x * torch.sigmoid(term)

    def fuse(self) -> FusedGC:
        """Return the inference form: the same output, layers for vectors instead of 1x1 maps."""
        return FusedGC(
            linear(self.mask) if self.mask else None,
            linear(self.squeeze),
            vector_norm(self.norm),
            linear(self.excite),
            self.fusion,
        ).eval()


def hidden_channels(channels: int, reduction: int, minimum: int) -> int:
    """Return h."""
    return squeezed(channels, reduction, minimum)


def params(
    channels: int,
    *,
    reduction: int = 16,
    minimum: int = 8,
    pooling: Pooling = "attention",
    **_options: Any,
) -> int:
    """Return 2Ch + h + C for both layers, 2h for the norm, and C + 1 for the scores."""
    hidden = hidden_channels(channels, reduction, minimum)
    scores = channels + 1 if pooling == "attention" else 0
    return 2 * channels * hidden + 3 * hidden + channels + scores


def macs(
    channels: int,
    height: int,
    width: int,
    *,
    reduction: int = 16,
    minimum: int = 8,
    pooling: Pooling = "attention",
    **_options: Any,
) -> int:
    """Return 2Ch for both layers, and 2CN for the scores and the weighted mean."""
    weighing = 2 * channels * height * width if pooling == "attention" else 0
    return 2 * channels * hidden_channels(channels, reduction, minimum) + weighing


GlobalContext.card = Card(
    title="Global context (GC)",
    family="channel",
    paper=papers.GCNET,
    traits=Traits(mlp=True, conv1x1=True),
    options={
        "reduction": "r, channels over hidden channels",
        "minimum": "the fewest hidden channels",
        "pooling": "attention = a weighted mean; mean = all positions weigh the same",
        "fusion": "add = add the transformed context; scale = scale by its sigmoid",
    },
    constraints=(
        whole("channels"),
        whole("reduction"),
        whole("minimum"),
        one_of("pooling", "attention", "mean"),
        one_of("fusion", "add", "scale"),
    ),
    official={"*": "after-project:all"},
    official_note=(
        "The original has it in every block of the last three stages of a ResNet, after the last "
        "convolution and its norm, before the addition. Our translation: after the last pointwise "
        "convolution of every MobileNet block."
    ),
    params=params,
    macs=macs,
    params_text="2Ch + 2C + 3h + 1, h = max(8, C//r); C + 1 less with pooling=mean",
    macs_text="2CN + 2Ch, h = max(8, C//r); 2Ch with pooling=mean",
    formula_tex=r"""a = \operatorname{softmax}_{HW}(w x + b)
c = \sum_{HW} a \odot x
y = x + W_2\,\mathrm{ReLU}\left(\mathrm{LN}(W_1 c + b_1)\right) + b_2""",
    deviations=(
        "The hidden width is at least 8, where the original takes C/r whatever it is: a layer norm "
        "of one value is a constant and of two a sign, so that below 48 channels nothing of the "
        "context would come through. minimum=1 brings the original back.",
        "The original's configurations have r = 4 or 16; it has no default.",
    ),
    timm=(
        "In timm 1.0.31 gca is the same function with C/8 hidden channels, and gc is that of "
        "fusion=scale; with rd_channels set to our width, the norm's eps to 1e-5 (timm: 1e-6) and "
        "the weights copied the outputs are equal."
    ),
    traps=(
        "timm's gc scales where the paper's block adds.",
        "At the start only the last layer gets a gradient: everything before it is multiplied by "
        "zero.",
        "What it adds is the same at every position: a batch norm behind it takes away the part "
        "that is the same for all images.",
    ),
    dead={"mask.bias": "moves all positions alike, which the softmax over them takes away"},
    license="Apache-2.0 (xvjiarui/GCNet)",
)
