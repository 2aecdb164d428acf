"""The inference form of position attention.

gamma is in the values, and large maps are attended to block by block.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnbench_modules._attending import attended
from attnbench_modules._folding import copied, scaled

BLOCKWISE = 512
"""From so many positions on the blockwise attention is the faster one."""


class FusedDANetPosition(nn.Module):
    """Position attention in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, query: nn.Conv2d, key: nn.Conv2d, value: nn.Conv2d, gamma: float) -> None:
        """Take the plain layers, which are copied."""
        super().__init__()
        self.query = copied(query)
        self.key = copied(key)
        self.value = scaled(value, gamma)

    def forward(self, x: Tensor) -> Tensor:
        """Add what all positions send to each: (B, C, H, W) -> (B, C, H, W)."""
        query, key, value = (layer(x).flatten(2) for layer in (self.query, self.key, self.value))
        gathered = attended(query, key, value, blockwise=BLOCKWISE)
        y: Tensor = x + torch.unflatten(gathered, 2, x.shape[2:])
        return y
