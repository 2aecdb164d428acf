"""The inference form of coordinate attention: the batch norm is folded into the convolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench_modules._pooling import gated_by_strips, strips


class FusedCoordinate(nn.Module):
    """Coordinate attention in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, shared: nn.Conv2d, rows: nn.Conv2d, columns: nn.Conv2d) -> None:
        """Take the shared layer with its norm folded in, and the two that make the gates."""
        super().__init__()
        self.shared = shared
        self.rows = rows
        self.columns = columns

    def forward(self, x: Tensor) -> Tensor:
        """Gate rows and columns: (B, C, H, W) -> (B, C, H, W)."""
        shared = F.hardswish(self.shared(torch.cat(strips(x), 2)))
        rows, columns = torch.split(shared, list(x.shape[2:]), 2)
        return gated_by_strips(x, self.rows(rows), self.columns(columns))
