"""The inference form of NAM: shares and batch norm are one scale and one shift a channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnbench_modules._folding import traced


class FusedNAM(nn.Module):
    """NAM in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        """Take one of each a channel, (C)."""
        super().__init__()
        self.scale = nn.Parameter(scale[:, None, None], requires_grad=False)
        self.shift = nn.Parameter(shift[:, None, None], requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the elements: (B, C, H, W) -> (B, C, H, W)."""
        if traced():  # other runtimes have no operator for the one pass
            return x * torch.sigmoid(x * self.scale + self.shift)
        return x * torch.addcmul(self.shift, x, self.scale).sigmoid_()
