"""The inference form of shuffle attention.

The first gate, and 1 in the second half, is applied to the whole map at once, so that it stays in
one piece and in its memory layout; the second gate then is, in place. The norm's affine is taken
into that gate's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnbench_modules._pooling import channel_means

Affine = tuple[Tensor, Tensor]


class FusedShuffle(nn.Module):
    """Shuffle attention in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    channel_weight: Tensor
    channel_bias: Tensor
    spatial_weight: Tensor
    spatial_bias: Tensor

    def __init__(self, groups: int, eps: float, *, channel: Affine, spatial: Affine) -> None:
        """Take the weight and bias of both gates, (c,) each, the second with the norm's in it."""
        super().__init__()
        self.groups = groups
        self.eps = eps
        for name, (weight, bias) in {"channel": channel, "spatial": spatial}.items():
            self.register_buffer(f"{name}_weight", weight.clone())
            self.register_buffer(f"{name}_bias", bias.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Gate and shuffle: (B, C, H, W) -> (B, C, H, W)."""
        halves = (self.groups, 2, -1)
        means, second_means = torch.unflatten(channel_means(x).flatten(1), 1, halves).unbind(2)
        gate = torch.sigmoid(self.channel_weight * means + self.channel_bias)
        gates = torch.stack([gate, torch.ones_like(gate)], 2).view(*x.shape[:2], 1, 1)
        y = x * gates
        second: Tensor = torch.unflatten(x, 1, halves)[:, :, 1]
        centred = second - second_means[..., None, None]
        slope = self.spatial_weight * torch.rsqrt(centred.square().mean((3, 4)) + self.eps)
        gate = torch.addcmul(self.spatial_bias[:, None, None], centred, slope[..., None, None])
        torch.unflatten(y, 1, halves)[:, :, 1].mul_(gate.sigmoid_())
        return torch.channel_shuffle(y, 2)
