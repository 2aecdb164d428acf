"""The inference form of the global context: vectors go through linear layers."""

from __future__ import annotations

from torch import Tensor, nn

from attnbench_modules._pooling import channel_means, means_weighed_by


class FusedGC(nn.Module):
    """Global context in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(
        self,
        mask: nn.Linear | None,
        squeeze: nn.Linear,
        norm: nn.LayerNorm,
        excite: nn.Linear,
        fusion: str,
    ) -> None:
        """Take the layers for vectors; the bias of the scores, which does nothing, stays behind."""
        super().__init__()
        weight = mask.weight[None].clone() if mask else None  # (1, 1, C)
        self.mask = None if weight is None else nn.Parameter(weight, requires_grad=False)
        self.squeeze = squeeze
        self.norm = norm
        self.excite = excite
        self.fusion = fusion

    def forward(self, x: Tensor) -> Tensor:
        """Add the transformed context: (B, C, H, W) -> (B, C, H, W)."""
        hidden: Tensor = self.norm(self.squeeze(self._context(x)))
        term: Tensor = self.excite(hidden.relu_())[..., None, None]  # (B, C, 1, 1)
        return x + term if self.fusion == "add" else x * term.sigmoid_()

    def _context(self, x: Tensor) -> Tensor:
        """Return the (weighted) means of the channels, (B, C)."""
        if self.mask is None:
            return channel_means(x).flatten(1)
        return means_weighed_by(self.mask, x)
