"""The inference forms of polarized self-attention.

The channel gate projects the weighted mean instead of the map, which gives the same because the
weights sum to 1; the pooled query is the query of the mean. Unless the values go through a softmax
themselves, the spatial scores are the products of x with one vector, the query taken back through
the values' matrix: then no map is projected at all.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class _Polarized(nn.Module):
    """What both layouts compute, on maps (B, C, N) and vectors."""

    def __init__(
        self,
        mask: nn.Linear,
        gate: nn.Sequential,
        query: nn.Linear,
        value: nn.Linear | nn.Conv2d,
        softmax: str,
    ) -> None:
        """Take the layers for vectors; ``value`` is one as well, or a convolution for 'values'."""
        super().__init__()
        self.mask = nn.Parameter(mask.weight[None].clone(), requires_grad=False)  # (1, 1, C)
        self.gate = gate
        self.query = query
        self.value = value
        self.softmax = softmax

    def channel_gate(self, x: Tensor) -> Tensor:
        """Return the gate of the channels, (B, C)."""
        flat = x.flatten(2)  # (B, C, N)
        weights = torch.matmul(self.mask, flat).softmax(2)  # (B, 1, N)
        pooled = torch.bmm(flat, weights.transpose(1, 2)).flatten(1)
        gate: Tensor = self.gate(pooled)
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
        means = x.mean((2, 3), keepdim=True).flatten(1)
        return x * self.channel_gate(x)[..., None, None] + x * self.spatial_gate(x, means)


class FusedPolarizedSequential(_Polarized):
    """The sequential layout in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Scale channels, then positions: (B, C, H, W) -> (B, C, H, W)."""
        gate = self.channel_gate(x)
        means = x.mean((2, 3), keepdim=True).flatten(1) * gate  # of what is gated
        x = x * gate[..., None, None]
        return x * self.spatial_gate(x, means)
