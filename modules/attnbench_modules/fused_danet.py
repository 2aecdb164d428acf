"""The inference forms of both attentions of DANet.

Of positions, gamma is in the values, and large maps are attended to block by block; of channels,
the second product adds x as it goes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnbench_modules._attending import attended
from attnbench_modules._folding import copied, scaled, traced
from attnbench_modules._pooling import laid_out_as

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


class FusedDANetChannel(nn.Module):
    """Channel attention in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, gamma: float, *, reverse: bool) -> None:
        super().__init__()
        self.gamma = gamma
        self.sign = -1.0 if reverse else 1.0

    def forward(self, x: Tensor) -> Tensor:
        """Add what all channels send to each: (B, C, H, W) -> (B, C, H, W)."""
        flat = x.flatten(2)  # (B, C, N)
        products = torch.bmm(flat, flat.transpose(1, 2))  # (B, C, C)
        attention = torch.softmax(products.mul_(self.sign), dim=-1)
        if traced():  # other runtimes have no operator for the one pass
            return x + self.gamma * torch.bmm(attention, flat).view(x.shape)
        y = torch.baddbmm(flat, attention, flat, alpha=self.gamma).view(x.shape)
        return laid_out_as(y, x)
