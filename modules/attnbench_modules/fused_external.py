"""The inference form of external attention, and the two normalisations that both forms share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FusedExternal(nn.Module):
    """External attention in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, keys: nn.Conv2d, values: nn.Conv2d) -> None:
        """Take C -> k, the projection in it, and k -> C, the output and its norm in it."""
        super().__init__()
        self.keys = keys
        self.values = values

    def forward(self, x: Tensor) -> Tensor:
        """Add what the memories give: (B, C, H, W) -> (B, C, H, W)."""
        y: Tensor = x + self.values(shares(self.keys(x)))
        return y.relu_()


def shares(scores: Tensor) -> Tensor:
    """Softmax over the positions, then divide by the sum over the slots: (B, k, H, W) -> same.

    That is one softmax over the slots, of the scores less the logarithm of what the first divides
    by. The first by itself would leave numbers of 1/N, which int8 cannot tell from 0.
    """
    flat = scores.flatten(2)
    return torch.softmax(torch.log_softmax(flat, 2), 1).view(scores.shape)
