"""The inference form of double attention: the three projections of x are one convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnbench_modules._pooling import laid_out_as


class FusedDoubleAttention(nn.Module):
    """Double attention in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, projections: nn.Conv2d, out: nn.Conv2d, residual: bool) -> None:
        """Take the projections merged: features, gather, distribute."""
        super().__init__()
        self.projections = projections
        self.out = out
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """Add the distributed descriptors: (B, C, H, W) -> (B, C, H, W)."""
        features, gather, distribute = self.projections(x).flatten(2).chunk(3, dim=1)  # (B, t, N)
        descriptors = torch.bmm(features, gather.softmax(2).transpose(1, 2))  # (B, t, t)
        mixed = torch.bmm(descriptors, distribute.softmax(1))
        y: Tensor = self.out(laid_out_as(torch.unflatten(mixed, 2, x.shape[2:]), x))
        return x + y if self.residual else y
