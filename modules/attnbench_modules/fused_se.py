"""The inference form of SE: the pooled vector goes through linear layers, not convolutions."""

from __future__ import annotations

from torch import Tensor, nn

from attnbench_modules._pooling import channel_means


class FusedSE(nn.Module):
    """SE in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, squeeze: nn.Linear, excite: nn.Linear) -> None:
        super().__init__()
        self.squeeze = squeeze
        self.excite = excite

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels: (B, C, H, W) -> (B, C, H, W)."""
        pooled = channel_means(x).flatten(1)  # (B, C)
        gate: Tensor = self.excite(self.squeeze(pooled).relu_()).sigmoid_()
        return x * gate[..., None, None]
