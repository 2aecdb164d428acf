"""The inference form of ULSAM: few operators, few passes over the feature map.

Batch norms are folded: the depthwise layer is a scale and a shift for each channel, the pointwise
layer a weighted sum over the channels of a group. What remains is the 3x3 maximum. torch's own
takes ten times as long as all the rest on contiguous maps, so the maximum is taken in pairs
instead, first along rows and then along columns:

    p_i = max(f_i, f_{i+1});   f_i <- max(f_i, p_i);   f_{i+1} <- max(f_{i+1}, p_i)

in place on the rectified map f. Nothing in f is below 0, so 0 stands for "outside the map".

There is one form for each way to run: in place as it stands on a CPU; without in-place operators
where torch.compile fuses the passes, or where a gradient is wanted; and the usual operators where
the graph goes to another runtime, whose convolutions and max-pool are fast, or to a GPU.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnbench_modules._folding import traced


class FusedULSAM(nn.Module):
    """ULSAM in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, depthwise: nn.Conv2d, pointwise: nn.Conv2d) -> None:
        """Take both layers with their batch norms folded in; ``pointwise`` has the groups."""
        super().__init__()
        self.groups = pointwise.groups
        self.depthwise = depthwise
        self.pointwise = pointwise

    def forward(self, x: Tensor) -> Tensor:
        """Weigh each subspace by its own map and add it: (B, C, H, W) -> (B, C, H, W)."""
        if traced() or not x.is_cpu:
            return self._layers(x)
        if torch.compiler.is_compiling() or (x.requires_grad and torch.is_grad_enabled()):
            return self._functional(x)
        if x.is_contiguous():
            return self._in_place(x)
        if x.is_contiguous(memory_format=torch.channels_last):
            return self._in_place_channels_last(x)
        return self._in_place(x.contiguous())

    def _layers(self, x: Tensor) -> Tensor:
        features = F.max_pool2d(F.relu(self.depthwise(x)), 3, stride=1, padding=1)
        return self._weigh(x, self.pointwise(features))

    def _functional(self, x: Tensor) -> Tensor:
        scale = self.depthwise.weight.view(-1, 1, 1)
        shift = _bias(self.depthwise).view(-1, 1, 1)
        f = F.pad(torch.relu(x * scale + shift), (1, 1, 1, 1))
        # columns first: the compiler's code for this order takes four fifths of the other's time
        f = torch.maximum(torch.maximum(f[..., :-2, :], f[..., 1:-1, :]), f[..., 2:, :])
        f = torch.maximum(torch.maximum(f[..., :-2], f[..., 1:-1]), f[..., 2:])
        weight = self.pointwise.weight.view(self.groups, -1, 1, 1)
        subspaces: Tensor = torch.unflatten(f, 1, (self.groups, -1))
        scores = (subspaces * weight).sum(2) + _bias(self.pointwise).view(-1, 1, 1)
        return self._weigh(x, scores)

    def _weigh(self, x: Tensor, scores: Tensor) -> Tensor:
        """Apply scores (B, g, H, W)."""
        maps = torch.relu(scores).flatten(2).softmax(-1).view(scores.shape)
        subspaces: Tensor = torch.unflatten(x, 1, (self.groups, -1))
        weighted = subspaces * maps.unsqueeze(2)
        return (weighted + subspaces).flatten(1, 2)

    def _in_place(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        scale, shift = self.depthwise.weight, _bias(self.depthwise)
        f = (x * scale.view(-1, 1, 1)).add_(shift.view(-1, 1, 1)).relu_()
        if width > 1:
            flat = f.view(-1)  # one long loop; pairs across the end of a row are blanked
            _spread(flat[:-1], flat[1:], blank=(width - 1, width))
        if height > 1:
            rows = f.view(batch * channels, height * width)
            _spread(rows[:, :-width], rows[:, width:])
        grouped = (batch * self.groups, channels // self.groups, height * width)
        weight = self.pointwise.weight.view(self.groups, 1, -1)
        bias = _bias(self.pointwise).view(-1, 1, 1)
        if batch > 1:
            weight, bias = weight.repeat(batch, 1, 1), bias.repeat(batch, 1, 1)
        maps = torch.baddbmm(bias, weight, f.view(grouped)).relu_().softmax(-1)
        subspaces = x.view(grouped)
        return torch.addcmul(subspaces, subspaces, maps).view(x.shape)

    def _in_place_channels_last(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        scale, shift = self.depthwise.weight.flatten(), _bias(self.depthwise)
        pixels = x.permute(0, 2, 3, 1)  # (B, H, W, C), contiguous
        f = torch.addcmul(shift, pixels, scale).relu_()
        _spread(f[:, :, :-1], f[:, :, 1:])
        _spread(f[:, :-1], f[:, 1:])
        weight = self.pointwise.weight.view(self.groups, -1, 1)
        bias = _bias(self.pointwise).view(-1, 1, 1)
        grouped = f.view(batch * height * width, self.groups, -1).transpose(0, 1)
        scores = torch.baddbmm(bias, grouped, weight)  # (g, B*N, 1)
        maps = scores.relu_().view(self.groups, batch, -1).softmax(-1)
        gate = maps.permute(1, 2, 0).view(batch, height, width, self.groups, 1)
        subspaces: Tensor = torch.unflatten(pixels, 3, (self.groups, -1))
        y = torch.addcmul(subspaces, subspaces, gate)
        return y.flatten(3).permute(0, 3, 1, 2)


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None  # folded convolutions always have one
    return conv.bias


def _spread(low: Tensor, high: Tensor, blank: tuple[int, int] | None = None) -> None:
    """Raise two overlapping views, shifted by one step, to the larger of each pair.

    Args:
        low: all but the last step.
        high: all but the first.
        blank: (first, every) of the pairs that are no neighbours.
    """
    larger = torch.maximum(low, high)
    if blank:
        larger[blank[0] :: blank[1]].zero_()
    low.clamp_min_(larger)
    high.clamp_min_(larger)
