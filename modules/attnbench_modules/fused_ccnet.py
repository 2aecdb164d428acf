"""The inference form of criss-cross attention, and the gathering that both forms share."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from attnbench_modules._folding import linear, merged, scaled, traced
from attnbench_modules._layout import laid_out_back


class FusedCrissCross(nn.Module):
    """Criss-cross attention in eval, faster: (B, C, H, W) -> (B, C, H, W).

    One matrix makes query, key and value, gamma is in it, and the map keeps the layout of rows
    from the first time round to the last.
    """

    def __init__(
        self, query: nn.Conv2d, key: nn.Conv2d, value: nn.Conv2d, gamma: float, recurrence: int
    ) -> None:
        """Take the plain layers, which are copied."""
        super().__init__()
        self.project = linear(merged(query, key, scaled(value, gamma)))
        self.inner = query.out_channels
        self.recurrence = recurrence

    def forward(self, x: Tensor) -> Tensor:
        """Add, as often as asked for, what row and column send: (B, C, H, W) -> (B, C, H, W)."""
        rows = by_row(x)
        for _ in range(self.recurrence):
            parts = torch.split(self.project(rows), [self.inner, self.inner, x.shape[1]], 3)
            rows = rows + gathered(*parts)
        return laid_out_back(rows.permute(0, 3, 1, 2), x)


def gathered(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return each position's mean of the values in its row and column, weighed by a softmax.

    Args:
        query: (B, H, W, d).
        key: (B, H, W, d).
        value: (B, H, W, C).

    Returns:
        (B, H, W, C).
    """
    height, width = query.shape[1:3]
    in_row = query @ key.transpose(2, 3)  # (B, H, W, W)
    in_column = query.transpose(1, 2) @ key.permute(0, 2, 3, 1)  # (B, W, H, H)
    if not traced():  # a position is in its row and in its column: one of the two is left out
        in_column.diagonal(dim1=2, dim2=3).fill_(-math.inf)
        attention = torch.softmax(torch.cat([in_column.transpose(1, 2), in_row], 3), 3)
        of_column, of_row = torch.split(attention, [height, width], 3)
        return sent(of_column, of_row, value)
    itself = (query * key).sum(3, keepdim=True)  # (B, H, W, 1)
    attention = torch.softmax(torch.cat([in_column.transpose(1, 2), in_row, itself], 3), 3)
    of_column, of_row, of_itself = torch.split(attention, [height, width, 1], 3)
    # in its row, in its column and by itself: two of the three are taken out
    once = sent(of_column, of_row, value) - of_itself * value
    return once / (1 - 2 * of_itself)


def sent(of_column: Tensor, of_row: Tensor, value: Tensor) -> Tensor:
    """Sum up the values of column and row, by weight: (B, H, W, C).

    Args:
        of_column: (B, H, W, H).
        of_row: (B, H, W, W).
        value: (B, H, W, C).
    """
    columns = of_column.transpose(1, 2) @ value.transpose(1, 2)  # (B, W, H, C)
    return columns.transpose(1, 2) + of_row @ value


def by_row(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H, W, C), in memory too: products of matrices want it so."""
    return x.permute(0, 2, 3, 1).contiguous()
