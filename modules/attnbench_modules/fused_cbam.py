"""The inference form of CBAM.

The batch norm is folded into the 7x7 convolution. The mean and the maximum go through the MLP
together, and once only through its second layer, which is linear: W2 a + W2 b = W2 (a + b).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnbench_modules._pooling import channel_maxima, channel_means, max_and_mean


class FusedCBAM(nn.Module):
    """CBAM in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, first: nn.Linear, second: nn.Linear, spatial: nn.Conv2d) -> None:
        """Take the MLP, the second layer with twice its bias, and the folded convolution."""
        super().__init__()
        self.first = first
        self.second = second
        self.spatial = spatial

    def forward(self, x: Tensor) -> Tensor:
        """Apply both gates: (B, C, H, W) -> (B, C, H, W)."""
        pooled = torch.stack([channel_means(x), channel_maxima(x)]).flatten(2)  # (2, B, C)
        gate: Tensor = self.second(self.first(pooled).relu_().sum(0)).sigmoid_()
        x = x * gate[..., None, None]
        position: Tensor = self.spatial(max_and_mean(x)).sigmoid_()
        return x * position
