"""The inference form of efficient multi-scale attention, and the gating that both forms share.

The shares of the 3x3 branch's channels are learned constants, and those of the near branch's depend
on its means alone. So of the 3x3 convolution, c -> c, one plane is computed, and its c means are
computed from the means of the map and of its border.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from attnbench_modules._folding import copied, frozen, linear, traced
from attnbench_modules._pooling import (
    gated_by_groups,
    gated_by_strips,
    grouped,
    laid_out_as,
    strips,
)


class FusedEMA(nn.Module):
    """Efficient multi-scale attention in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(
        self, groups: int, conv1x1: nn.Conv2d, conv3x3: nn.Conv2d, norm: nn.GroupNorm
    ) -> None:
        """Take the plain layers, which are copied."""
        super().__init__()
        self.groups = groups
        self.mix = linear(conv1x1)
        self.norm = copied(norm)
        self.plane = plane(conv3x3, norm.bias.softmax(0))
        self.means = means(conv3x3)

    def forward(self, x: Tensor) -> Tensor:
        """Scale all groups: (B, C, H, W) -> (B, C, H, W)."""
        groups = grouped(x, self.groups)  # (Bg, c, H, W)
        rows, columns = strips(groups)
        by_wide = torch.softmax(self.means(edges(groups, rows, columns)), 1).unsqueeze(1)
        near = self.norm(gated_by_scores(groups, self._scores(torch.cat([rows, columns], 2))))
        by_near = torch.bmm(by_wide, near.flatten(2)).view(-1, 1, *x.shape[2:])
        gate = torch.sigmoid(self._wide(groups) + by_near).view(-1, self.groups, *x.shape[2:])
        return gated_by_groups(x, laid_out_as(gate, x))

    def _scores(self, means: Tensor) -> Tensor:
        """Return the 1x1 convolution as a product, sooner set up: (Bg, c, L, 1) -> same."""
        scores = torch.matmul(self.mix.weight, means.squeeze(3)) + self.mix.bias[:, None]
        return scores.unsqueeze(3)

    def _wide(self, groups: Tensor) -> Tensor:
        """Return the plane of the 3x3 branch: (Bg, c, H, W) -> (Bg, 1, H, W).

        By one product for all nine taps: a convolution of so few channels takes longer.
        """
        if traced():
            return cast(Tensor, self.plane(groups))
        taps = self.plane.weight.flatten(2).transpose(1, 2).expand(len(groups), -1, -1)
        planes = torch.bmm(taps, groups.flatten(2)).view(-1, 3, 3, *groups.shape[2:])
        return added_up(planes).unsqueeze(1) + cast(Tensor, self.plane.bias)


def added_up(planes: Tensor) -> Tensor:
    """Add up the planes of a 3x3 kernel's taps, each shifted: (B, 3, 3, H, W) -> (B, H, W).

    In place, along the rows first.
    """
    lines = planes[:, :, 1]  # (B, 3, H, W)
    lines[..., 1:] += planes[:, :, 0, :, :-1]
    lines[..., :-1] += planes[:, :, 2, :, 1:]
    total = lines[:, 1]  # (B, H, W)
    total[:, 1:] += lines[:, 0, :-1]
    total[:, :-1] += lines[:, 2, 1:]
    return total


def gated_by_scores(groups: Tensor, scores: Tensor) -> Tensor:
    """Gate rows and columns: (Bg, c, H, W) and (Bg, c, H + W, 1) -> (Bg, c, H, W)."""
    return gated_by_strips(groups, *torch.split(scores, list(groups.shape[2:]), 2))


def plane(conv3x3: nn.Conv2d, shares: Tensor) -> nn.Conv2d:
    """Return the frozen convolution, c -> 1, that gives the sum of the channels by their shares."""
    shares = shares.detach().double()
    mixed = torch.tensordot(shares, conv3x3.weight.detach().double(), 1)
    with torch.device("meta"):
        one = nn.Conv2d(conv3x3.in_channels, 1, 3, padding=1)
    return frozen(one, mixed[None], (shares @ bias_of(conv3x3))[None], conv3x3.weight)


def bias_of(conv3x3: nn.Conv2d) -> Tensor:
    """Return the bias in double precision."""
    return cast(Tensor, conv3x3.bias).detach().double()


def edges(groups: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return what the means of a 3x3 convolution depend on: (Bg, c, H, W) -> (Bg, 9c).

    Of each channel the mean of the map, and the parts of it that its first and last row, its first
    and last column, and its corners make up.

    Args:
        groups: the map.
        rows: (Bg, c, H, 1), the means of the rows.
        columns: (Bg, c, W, 1), the means of the columns.
    """
    height, width = groups.shape[2:]
    down, right = max(height - 1, 1), max(width - 1, 1)  # from the first to the last
    corners = groups[:, :, ::down, ::right].expand(-1, -1, 2, 2).flatten(2)
    ends = rows[:, :, ::down, 0].expand(-1, -1, 2), columns[:, :, ::right, 0].expand(-1, -1, 2)
    parts = [rows.mean(2), ends[0] / height, ends[1] / width, corners / (height * width)]
    return torch.cat(parts, 2).flatten(1)


def means(conv3x3: nn.Conv2d) -> nn.Linear:
    """Return the frozen layer, 9c -> c, from :func:`edges` to the means of what a 3x3 gives.

    A tap that looks up misses the last row of the map, one that looks left its last column.
    """
    weight = conv3x3.weight.detach().double()
    up, down = weight[:, :, 0], weight[:, :, 2]  # (c, c, 3)
    left, right = weight[..., 0], weight[..., 2]
    terms = [weight.sum((2, 3)), -down.sum(2), -up.sum(2), -right.sum(2), -left.sum(2)]
    terms += [down[..., 2], down[..., 0], up[..., 2], up[..., 0]]
    with torch.device("meta"):
        layer = nn.Linear(9 * conv3x3.in_channels, conv3x3.out_channels)
    like = conv3x3.weight
    layer.weight = nn.Parameter(torch.stack(terms, 2).flatten(1).to(like), requires_grad=False)
    layer.bias = nn.Parameter(bias_of(conv3x3).to(like), requires_grad=False)
    return layer.eval()
