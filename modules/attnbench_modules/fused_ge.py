"""The inference form of gather-excite: norms folded, the global convolution a weighted sum."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnbench_modules._pooling import channel_means, channel_sums, local_means, resized


class FusedGE(nn.Module):
    """Gather-excite in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(
        self,
        gather: Sequence[nn.Conv2d],
        excite: nn.Module | None,
        extent: int,
        size: tuple[int, int],
    ) -> None:
        """Take the gathering convolutions with their batch norms folded in; none gathers means."""
        super().__init__()
        self.means = not gather
        self.gather = nn.ModuleList(gather if extent else ())
        if gather and not extent:
            (layer,) = gather
            # as the maps lie, and to follow them into another memory format
            self.weight = _parameter(layer.weight.transpose(0, 1).contiguous())  # (1, C, h, w)
            bias = layer.bias if layer.bias is not None else torch.zeros(layer.out_channels)
            self.bias = _parameter(bias[:, None, None])
        self.excite = copy.deepcopy(excite).requires_grad_(False) if excite else None
        self.extent = extent
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Gate each position: (B, C, H, W) -> (B, C, H, W)."""
        scores = self._gathered(x)
        gate = (self.excite(scores) if self.excite else scores).sigmoid()
        return x * (F.interpolate(gate, size=x.shape[2:]) if self.extent else gate)

    def _gathered(self, x: Tensor) -> Tensor:
        if self.means:
            return local_means(x, self.extent) if self.extent else channel_means(x)
        if not self.extent:
            return channel_sums(resized(x, self.size) * self.weight) + self.bias
        *hidden, last = self.gather
        for layer in hidden:
            x = layer(x).relu_()
        gathered: Tensor = last(x)
        return gathered


def _parameter(value: Tensor) -> nn.Parameter:
    return nn.Parameter(value.detach(), requires_grad=False)
