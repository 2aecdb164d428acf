"""The inference form of CBAM.

The batch norm is folded into the 7x7 convolution. The mean and the maximum go through the MLP
together, and once only through its second layer, which is linear: W2 a + W2 b = W2 (a + b).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
        average, largest = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        pooled = torch.stack([average.flatten(1), largest.flatten(1)])  # (2, B, C)
        gate: Tensor = self.second(self.first(pooled).relu_().sum(0)).sigmoid_()
        x = x * gate[..., None, None]
        summary = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], dim=1)
        position: Tensor = self.spatial(summary).sigmoid_()
        return x * position
