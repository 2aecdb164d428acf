"""The inference form of the non-local block, and the pooling that both forms share.

The batch norm is folded into the last convolution, the scale into the first. Large maps are
attended to block by block, so that the N x N matrix, 39 MB on a 56x56 map, is never written to
memory. The projections stay three convolutions: one for all saves little here, and OpenVINO needs
up to a third more time for it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnbench_modules._attending import attended
from attnbench_modules._folding import scaled

BLOCKWISE = 1024
"""From so many positions on the blockwise attention is the faster one; smaller maps fit a cache."""


class FusedNonLocal(nn.Module):
    """The non-local block in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(
        self,
        theta: nn.Conv2d,
        phi: nn.Conv2d,
        g: nn.Conv2d,
        out: nn.Conv2d,
        sub_sample: str,
        scale: float,
    ) -> None:
        """Take the plain projections, which are copied, and the folded last convolution."""
        super().__init__()
        self.sub_sample = sub_sample
        self.theta = scaled(theta, scale)
        self.phi = scaled(phi, 1.0)
        self.g = scaled(g, 1.0)
        self.out = out

    def forward(self, x: Tensor) -> Tensor:
        """Add what all positions send to each: (B, C, H, W) -> (B, C, H, W)."""
        query, key, value = (part.flatten(2) for part in self._project(x))  # (B, d, N or M)
        gathered = attended(query, key, value, blockwise=BLOCKWISE)
        shaped: Tensor = torch.unflatten(gathered, 2, x.shape[2:])
        y: Tensor = x + self.out(shaped)
        return y

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        source = pool(x) if self.sub_sample == "input" else x
        key, value = self.phi(source), self.g(source)
        if self.sub_sample == "projection":
            key, value = pool(key), pool(value)
        return self.theta(x), key, value


def pool(x: Tensor) -> Tensor:
    """Max-pool 2x2; a side of length 1 stays."""
    height, width = x.shape[2:]
    return F.max_pool2d(x, (min(2, height), min(2, width)))
