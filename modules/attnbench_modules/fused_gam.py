"""The inference form of GAM: both batch norms are folded into the 7x7 convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class FusedGAM(nn.Module):
    """GAM in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(
        self, channel: Sequence[nn.Conv2d], spatial: Sequence[nn.Conv2d], channel_sigmoid: bool
    ) -> None:
        """Take the two layers of the channel step and the two, norms folded in, of the spatial."""
        super().__init__()
        self.squeeze, self.excite = channel
        self.near, self.far = spatial
        self.channel_sigmoid = channel_sigmoid

    def forward(self, x: Tensor) -> Tensor:
        """Gate twice: (B, C, H, W) -> (B, C, H, W)."""
        gate: Tensor = self.excite(self.squeeze(x).relu_())
        x = x * (gate.sigmoid_() if self.channel_sigmoid else gate)
        second: Tensor = self.far(self.near(x).relu_())
        return x * second.sigmoid_()
