"""The inference forms of polarized self-attention.

The channel gate projects the weighted mean instead of the map, which gives the same because the
weights sum to 1; the pooled query is the query of the mean. Unless the values go through a softmax
themselves, the spatial scores are the products of x with one vector, the query taken back through
the values' matrix: then no map is projected at all.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnbench_modules._folding import copied, linear
from attnbench_modules._pooling import channel_means, means_weighed_by


class _Polarized(nn.Module):
    """What both layouts compute, on maps (B, C, N) and vectors."""

    def __init__(
        self,
        mask: nn.Conv2d,
        gate: nn.Sequential,
        query: nn.Conv2d,
        value: nn.Conv2d,
        softmax: str,
    ) -> None:
        """Take the projections, and the layers of the channel gate as layers for vectors."""
        super().__init__()
        self.mask = nn.Parameter(linear(mask).weight[None], requires_grad=False)  # (1, 1, C)
        self.gate = gate
        self.query = linear(query)
        self.value = copied(value) if softmax == "values" else linear(value)
        self.softmax = softmax

    def channel_gate(self, x: Tensor) -> Tensor:
        """Return the gate of the channels, (B, C)."""
        gate: Tensor = self.gate(means_weighed_by(self.mask, x))
        return gate.sigmoid_()

    def spatial_gate(self, x: Tensor, means: Tensor) -> Tensor:
        """Return the gate of the positions, (B, 1, H, W), of x with these means, (B, C)."""
        query: Tensor = self.query(means)  # (B, i)
        if self.softmax == "values":
            scores = torch.bmm(query.unsqueeze(1), self.value(x).flatten(2).softmax(2))
        else:
            row = query.softmax(1) if self.softmax == "query" else query
            key = torch.matmul(row, self.value.weight)  # (B, C)
            scores = torch.bmm(key.unsqueeze(1), x.flatten(2))  # (B, 1, N)
        if self.softmax == "scores":
            scores = scores.softmax(2)
        shaped: Tensor = torch.unflatten(scores.sigmoid(), 2, x.shape[2:])
        return shaped


class FusedPolarizedParallel(_Polarized):
    """The parallel layout in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Scale by both gates: (B, C, H, W) -> (B, C, H, W)."""
        means = channel_means(x).flatten(1)
        return x * self.channel_gate(x)[..., None, None] + x * self.spatial_gate(x, means)


class FusedPolarizedSequential(_Polarized):
    """The sequential layout in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Scale channels, then positions: (B, C, H, W) -> (B, C, H, W)."""
        gate = self.channel_gate(x)
        means = channel_means(x).flatten(1) * gate  # of what is gated
        x = x * gate[..., None, None]
        return x * self.spatial_gate(x, means)
