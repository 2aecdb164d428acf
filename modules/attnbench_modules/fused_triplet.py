"""The inference form of triplet attention: no batch norms, and a cheaper way to the pools.

Maxima and means along rows and columns are fast channels last only, where whole runs of channels
are handled at once: a map that lies otherwise is copied, which costs less than it saves.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnbench_modules._folding import traced
from attnbench_modules._pooling import laid_out_as, max_and_mean, side_planes


class FusedTriplet(nn.Module):
    """Triplet attention in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, cw: nn.Conv2d, hc: nn.Conv2d, hw: nn.Conv2d | None = None) -> None:
        """Take the gates' convolutions with their norms folded in."""
        super().__init__()
        self.cw = cw
        self.hc = hc
        self.hw = hw

    def forward(self, x: Tensor) -> Tensor:
        """Apply the gates: (B, C, H, W) -> (B, C, H, W)."""
        cw, hc = self._strips(x)
        if self.hw is None:
            return x * (cw / 2 + hc / 2)
        hw: Tensor = self.hw(max_and_mean(x)).sigmoid()
        return x * (cw / 3 + hc / 3 + hw / 3)

    def _strips(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gates (B, C, 1, W) and (B, C, H, 1), laid out as x."""
        z = x if traced() or not x.is_cpu else x.contiguous(memory_format=torch.channels_last)
        cw, hc = side_planes(z)
        cw, hc = self.cw(cw).sigmoid().transpose(1, 2), self.hc(hc).sigmoid().transpose(1, 3)
        return laid_out_as(cw, x), laid_out_as(hc, x)
