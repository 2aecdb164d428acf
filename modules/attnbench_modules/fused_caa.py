"""The inference form of CAA: norms folded in, and one memory layout from the means to the gate."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench_modules._large_kernel import workable
from attnbench_modules._layout import laid_out_back
from attnbench_modules._pooling import box_means

POOL = 7
"""Side of the squares that are averaged first."""


class FusedCAA(nn.Module):
    """CAA in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(
        self, first: nn.Conv2d, along: nn.Conv2d, down: nn.Conv2d, second: nn.Conv2d
    ) -> None:
        """Take the two 1x1 convolutions, norms folded in, and the two strips between them."""
        super().__init__()
        self.first = first
        self.along = along
        self.down = down
        self.second = second

    def forward(self, x: Tensor) -> Tensor:
        """Gate each value: (B, C, H, W) -> (B, C, H, W)."""
        context = F.silu(self.first(box_means(workable(x), POOL)), inplace=True)
        gate = F.silu(self.second(self.down(self.along(context))), inplace=True)
        return x * gate.sigmoid_()


def surroundings(x: Tensor) -> Tensor:
    """Return the means over 7x7 positions around each: (B, C, H, W) -> the same.

    A CPU is ten times as fast where the channels of a position lie together: it pays to lay the map
    out so, and back.
    """
    return laid_out_back(box_means(workable(x), POOL), x)
