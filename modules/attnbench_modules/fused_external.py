"""The inference form of external attention, and the two normalisations that both forms share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnbench_modules._folding import traced


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

    The first leaves numbers of 1/N and less, which int8 and half precision cannot tell from 0.
    There it is one softmax over the slots, of the scores less the logarithm of what the first
    divides by. Where no slot looks at a position its shares are 0; there they still sum up to 1.
    """
    shape, scores = scores.shape, scores.flatten(2)
    if traced() or scores.dtype is torch.half:
        return torch.softmax(torch.log_softmax(scores, 2), 1).view(shape)
    scores = torch.softmax(scores, 2)  # of the same name: what is not held is taken again
    total = scores.sum(1, keepdim=True).clamp_(min=torch.finfo(scores.dtype).tiny)
    return (scores / total).view(shape)
