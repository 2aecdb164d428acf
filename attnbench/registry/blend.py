"""An attention module that starts as the identity: the reserved option ``blend=true``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnbench.errors import PluginError


class Blend(nn.Module):
    """The input with a learned share of what the attention makes of it: (B, C, H, W) -> same.

    ``alpha`` starts at 0, where the output equals the input as long as the attention's is finite;
    an infinite or NaN value of it is not hidden, and becomes NaN. While ``alpha`` is 0 it is the
    only one that gets a gradient, which a module that starts as the identity itself (``f(x) = x``)
    does not give: with such a module nothing is learned.

    Raises:
        PluginError: in ``forward``; the attention changes its input in place.
    """

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention
        # no dimension: under autocast it leaves the dtype of the map alone, (1,) would widen it
        self.alpha = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x + alpha * (attention(x) - x)``."""
        before = _version(x)
        attended: Tensor = self.attention(x)
        if _version(x) != before:
            raise PluginError(
                f"{type(self.attention).__name__} changes its input in place; blend=true needs the "
                f"input as it was"
            )
        # not torch.lerp: exporters turn it into a choice between two formulas, two passes more
        return x + self.alpha * (attended - x)


def _version(x: Tensor) -> int:
    """Return a number that grows when a tensor is written to; 0 where nobody counts."""
    if torch.compiler.is_compiling() or x.is_inference():
        return 0
    return x._version
