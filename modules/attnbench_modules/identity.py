"""Identity: no attention at all.

The control of every comparison: the same placement, the same code around it, and y = x. Next to a
``replace`` row it shows what deleting the block does on its own.

    y = x                                                      (B, C, H, W)
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from attnbench.cards import Card, Traits
from attnbench_modules._shared import check, whole


class Identity(nn.Module):
    """Return the input: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int) -> None:
        super().__init__()
        check(type(self), channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` itself."""
        return x


def params(channels: int, **_options: Any) -> int:
    """Return 0."""
    return 0


def macs(channels: int, height: int, width: int, **_options: Any) -> int:
    """Return 0."""
    return 0


Identity.card = Card(
    title="No attention (control)",
    family="control",
    traits=Traits(),
    constraints=(whole("channels"),),
    official_note="Not an attention module: it goes wherever the module it is compared with goes.",
    params=params,
    macs=macs,
    params_text="0",
    macs_text="0",
    formula_tex="y = x",
    timm="timm 1.0.31 has no such layer; it leaves attention out where its attn_layer is None.",
)
