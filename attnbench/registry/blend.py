"""Attention initialized as the identity: the reserved option ``blend=true``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnbench.errors import PluginError


class Blend(nn.Module):
    """Learned linear interpolation between input and attention output: (B, C, H, W) -> same.

    ``alpha`` is initialized to 0. The output then equals the input if the attention output is
    finite; infinite and NaN values of the attention output become NaN. While ``alpha`` is 0, it is
    the only parameter with a nonzero gradient. If the module itself is initialized as the identity
    (``f(x) = x``), this gradient is zero too: such a module does not learn.

    Raises:
        PluginError: in ``forward``, if the attention modifies its input in place.
    """

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention
        # a scalar tensor preserves the dtype of the map under autocast; shape (1,) would widen it
        self.alpha = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x + alpha * (attention(x) - x)``."""
        before = _version(x)
        attended: Tensor = self.attention(x)
        if _version(x) != before:
            raise PluginError(
                f"{type(self.attention).__name__} changes its input in place, which blend=true "
                "needs unchanged. Clone it first"
            )
        # not torch.lerp: exporters expand it to a selection between two formulas, two more passes
        return x + self.alpha * (attended - x)


def _version(x: Tensor) -> int:
    """Return the version counter of a tensor, which increases with each write, or 0."""
    if torch.compiler.is_compiling() or x.is_inference():
        return 0
    return x._version
