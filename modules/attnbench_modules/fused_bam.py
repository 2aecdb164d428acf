"""The inference form of BAM.

All batch norms are folded, the channel branch works on vectors, and the gate and the addition of x
are one pass: y = x + x * sigmoid(scores).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from attnbench_modules._folding import traced
from attnbench_modules._pooling import channel_means


class FusedBAM(nn.Module):
    """BAM in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(
        self,
        first: nn.Linear,
        second: nn.Linear,
        spatial: Iterable[nn.Conv2d],
        combine: str,
    ) -> None:
        """Take the layers of both branches with their batch norms folded in."""
        super().__init__()
        self.first = first
        self.second = second
        *hidden, self.last = spatial
        self.hidden = nn.ModuleList(hidden)
        self.combine = combine

    def forward(self, x: Tensor) -> Tensor:
        """Raise x by a gate between 1 and 2: (B, C, H, W) -> (B, C, H, W)."""
        pooled = channel_means(x).flatten(1)  # (B, C)
        channel: Tensor = self.second(self.first(pooled).relu_())[..., None, None]
        spatial = x
        for layer in self.hidden:
            spatial = layer(spatial).relu_()
        spatial = self.last(spatial)  # (B, 1, H, W)
        scores = channel * spatial if self.combine == "mul" else channel + spatial
        gate = scores.sigmoid_()
        # other runtimes have no operator for the one pass
        return x * (1 + gate) if traced() else torch.addcmul(x, x, gate)
