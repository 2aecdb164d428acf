"""The inference form of SCSA.

The four depthwise convolutions are one of nine taps, the outer ones 0 where a scale has fewer: one
call instead of four, which for strips costs more than the taps. The scale of the scores is in Q.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench_modules._folding import frozen
from attnbench_modules._layers import strip_conv
from attnbench_modules._norms import GroupNorm
from attnbench_modules._pooling import channel_means, gated_by_strips, strips


class FusedSCSA(nn.Module):
    """SCSA in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    q: Tensor
    k: Tensor
    v: Tensor

    def __init__(
        self, conv: nn.Conv2d, norms: Sequence[GroupNorm], factors: Sequence[Tensor], window: int
    ) -> None:
        """Take the merged convolution, the norms of rows, columns and windows, and Q, K, V.

        Each of the latter is a factor a channel, (heads, d, 1).
        """
        super().__init__()
        self.conv = conv
        self.norm_h, self.norm_w, self.norm = norms
        for name, factor in zip("qkv", factors, strict=True):
            self.register_buffer(name, factor)
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        """Apply both: (B, C, H, W) -> (B, C, H, W)."""
        rows, columns = strips(x)
        x = gated_by_strips(x, self.norm_h(self.conv(rows)), self.norm_w(self.conv(columns)))
        return x * self._channel_scores(x).sigmoid()

    def _channel_scores(self, x: Tensor) -> Tensor:
        window = [min(self.window, side) for side in x.shape[2:]]
        z = self.norm(F.avg_pool2d(x, window))
        heads = torch.unflatten(z.flatten(2), 1, self.q.shape[:2])  # (B, heads, d, n)
        means = channel_means(z).view(-1, *self.q.shape)  # (B, heads, d, 1)
        scores = (heads * self.q) @ (heads * self.k).transpose(2, 3)
        return (torch.softmax(scores, 3) @ (means * self.v)).reshape(*x.shape[:2], 1, 1)


def merged_scales(layers: Sequence[nn.Conv2d]) -> nn.Conv2d:
    """Return one depthwise convolution for what several do, each to its share of the channels."""
    longest = max(layer.weight.shape[2] for layer in layers)
    channels = sum(len(layer.weight) for layer in layers)
    weights = [_lengthened(layer.weight.detach(), longest) for layer in layers]
    biases = [
        layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias.detach()
        for layer in layers
    ]
    with torch.device("meta"):
        one = strip_conv(channels, longest, bias=True)
    return frozen(one, torch.cat(weights), torch.cat(biases), layers[0].weight)


def _lengthened(weight: Tensor, taps: int) -> Tensor:
    """Put zeros around the taps of an odd strip convolution: (C, 1, k, 1) -> (C, 1, taps, 1)."""
    side = (taps - weight.shape[2]) // 2
    return F.pad(weight, (0, 0, side, side))
