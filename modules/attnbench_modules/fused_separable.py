"""The inference form of separable self-attention.

The weights of the positions sum to 1, so the mean of the keys is the key of the mean: the keys of
all positions, a third of the work, are never computed.
"""

from __future__ import annotations

from torch import Tensor, nn

from attnbench_modules._pooling import means_weighed_by


class FusedSeparable(nn.Module):
    """Separable self-attention in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(
        self,
        query: nn.Linear,
        key: nn.Linear,
        value: nn.Conv2d,
        out: nn.Conv2d,
        *,
        residual: bool,
    ) -> None:
        """Take the layers; the bias of the query, which does nothing, stays behind."""
        super().__init__()
        self.query = nn.Parameter(query.weight[None].clone(), requires_grad=False)  # (1, 1, C)
        self.key = key
        self.value = value
        self.out = out
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """Add the scaled values: (B, C, H, W) -> (B, C, H, W)."""
        context: Tensor = self.key(means_weighed_by(self.query, x))[..., None, None]
        y: Tensor = self.out(self.value(x).relu_() * context)
        return x + y if self.residual else y
