"""What the modules look at instead of the whole map: means, maxima, strips."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from attnbench_modules._folding import traced


def channel_means(x: Tensor) -> Tensor:
    """Return the mean of each channel over all positions: (B, C, H, W) -> (B, C, 1, 1)."""
    return x.mean((2, 3), keepdim=True)


def channel_maxima(x: Tensor) -> Tensor:
    """Return the largest value of each channel: (B, C, H, W) -> (B, C, 1, 1).

    Where several positions tie they share the gradient.
    """
    return x.amax((2, 3), keepdim=True)


def row_means(x: Tensor) -> Tensor:
    """Return the mean of each row: (B, C, H, W) -> (B, C, H, 1), in the memory layout of x."""
    if channels_last(x):
        return F.avg_pool2d(x, (1, x.shape[3]))
    return x.mean(3, keepdim=True)


def column_means(x: Tensor) -> Tensor:
    """Return the mean of each column: (B, C, H, W) -> (B, C, 1, W), in the memory layout of x."""
    if channels_last(x):
        return F.avg_pool2d(x, (x.shape[2], 1))
    return x.mean(2, keepdim=True)


def channel_sums(x: Tensor, *, keepdim: bool = True) -> Tensor:
    """Return the sum of each channel over all positions: (B, C, H, W) -> (B, C, 1, 1), or (B, C).

    By way of the mean where another runtime is to run it: those for phones have a kernel for that,
    and none for the sum.
    """
    if not traced():
        return x.sum((2, 3), keepdim=keepdim)
    return x.mean((2, 3), keepdim=keepdim) * float(x.shape[2] * x.shape[3])


def variances(
    squares: Tensor, pool: Callable[[Tensor], Tensor] = channel_means, *, times: float = 1
) -> Tensor:
    """Return variances, over N - 1, from the squared differences to the mean.

    0 where there is one value. In two plain passes, this one and the differences: torch's own,
    which makes one careful pass, takes many times as long on a CPU.

    Args:
        squares: (B, C, H, W).
        pool: takes the mean over those N values that share a variance.
        times: a factor of the result, which costs nothing here.
    """
    means = pool(squares)
    count = math.prod(squares.shape[1:]) // math.prod(means.shape[1:])
    return means * (times * count / max(count - 1, 1))


def root(variance: Tensor) -> Tensor:
    """Return the square root, but of no 0, whose gradient is infinite."""
    return variance.clamp(min=torch.finfo(variance.dtype).tiny).sqrt()


def deviations(centred: Tensor) -> Tensor:
    """Return standard deviations, over N - 1, of channels without their mean: -> (B, C, 1, 1).

    0, and the gradient too, where all values are the same; in one pass, where this is no graph for
    another runtime.
    """
    if traced():
        return root(variances(centred.square()))
    positions = centred.shape[2] * centred.shape[3]
    length: Tensor = torch.linalg.vector_norm(centred, dim=(2, 3), keepdim=True)
    return length / math.sqrt(max(positions - 1, 1))


def row_maxima(x: Tensor) -> Tensor:
    """Return the largest value of each row: (B, C, H, W) -> (B, C, H, 1)."""
    if channels_last(x):
        return x.permute(0, 2, 3, 1).amax(2, keepdim=True).permute(0, 3, 1, 2)
    return x.amax(3, keepdim=True)


def column_maxima(x: Tensor) -> Tensor:
    """Return the largest value of each column: (B, C, H, W) -> (B, C, 1, W)."""
    if channels_last(x):
        return x.permute(0, 2, 3, 1).amax(1, keepdim=True).permute(0, 3, 1, 2)
    return x.amax(2, keepdim=True)


def max_and_mean(x: Tensor) -> Tensor:
    """Return the maximum and the mean over the channels: (B, C, H, W) -> (B, 2, H, W).

    In this order, as CBAM and triplet attention stack them.
    """
    return torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], dim=1)


def side_planes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return maximum and mean over the rows and over the columns: (B, 2, C, W), (B, 2, H, C).

    In the order of :func:`max_and_mean`, as triplet attention looks at the map from its sides.
    """
    over_rows = torch.cat([column_maxima(x), column_means(x)], 2)  # (B, C, 2, W)
    over_columns = torch.cat([row_maxima(x), row_means(x)], 3)  # (B, C, H, 2)
    return over_rows.transpose(1, 2), over_columns.transpose(1, 3)


def strips(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means of the rows and of the columns, both upright: (B, C, H, 1), (B, C, W, 1)."""
    return row_means(x), column_means(x).transpose(2, 3)


def gated_by_strips(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Scale a map by the sigmoids of upright scores for its rows and for its columns.

    Args:
        x: (B, C, H, W).
        rows: (B, C, H, 1).
        columns: (B, C, W, 1).
    """
    rows, columns = torch.sigmoid(rows), torch.sigmoid(columns).transpose(2, 3)
    return x * (laid_out_as(rows, x) * laid_out_as(columns, x))


def gated_by_groups(x: Tensor, gate: Tensor) -> Tensor:
    """Scale groups of neighbouring channels by a plane each: (B, C, H, W) -> the same.

    Args:
        x: (B, C, H, W).
        gate: (B, G, H, W), laid out in memory as x.
    """
    groups: Tensor = torch.unflatten(x, 1, (gate.shape[1], -1))
    return (groups * gate.unsqueeze(2)).flatten(1, 2)


def local_means(x: Tensor, extent: int) -> Tensor:
    """Return means around every ``extent``-th position: (B, C, H, W) -> (B, C, H', W').

    Each is over (2 extent - 1)^2 positions, those beyond the border left out; H' = ceil(H/extent).
    """
    return F.avg_pool2d(x, 2 * extent - 1, extent, extent - 1, count_include_pad=False)


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return x as it is if of that size, else its means over a grid of ``size`` cells."""
    return x if x.shape[2:] == size else F.adaptive_avg_pool2d(x, size)


def grouped(x: Tensor, groups: int) -> Tensor:
    """Return the groups of channels as images of their own: (B, C, H, W) -> (BG, C/G, H, W)."""
    return x.contiguous().view(-1, x.shape[1] // groups, *x.shape[2:])


def channels_last(x: Tensor) -> bool:
    """Whether x lies in memory channels last, and not first as well.

    A strip or a gate that lies otherwise than the map makes every pass over both many times slower:
    0.3 instead of 0.01 ms for the means of the rows of 512x14x14.
    """
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def laid_out_as(gate: Tensor, x: Tensor) -> Tensor:
    """Return a small 4-D tensor in the memory layout of the map that it is to scale."""
    return gate.contiguous(memory_format=torch.channels_last) if channels_last(x) else gate


def box_means(x: Tensor, side: int) -> Tensor:
    """Return the means over side x side positions around each, zeros beyond the border counted.

    For an odd side: (B, C, H, W) -> (B, C, H, W). In two passes, along each axis one: a third of
    the time that one over squares takes, where the memory is channels last.
    """
    columns = F.avg_pool2d(x, (side, 1), 1, (side // 2, 0))
    return F.avg_pool2d(columns, (1, side), 1, (0, side // 2))


def across(rows: Tensor, columns: Tensor, x: Tensor) -> Tensor:
    """Return the sum of (B, C, H, 1) and (B, C, 1, W) at each position, laid out as x is."""
    return laid_out_as(rows, x) + laid_out_as(columns, x)


def weighted_means(x: Tensor, scores: Tensor) -> Tensor:
    """Return means over positions, weighed by a softmax: (B, C, H, W) -> (B, C, 1, 1).

    Args:
        x: the map.
        scores: (B, 1, H, W), one for each position; their softmax is the weights.
    """
    weights = torch.softmax(scores.flatten(2), 2)  # (B, 1, N)
    means = torch.bmm(x.flatten(2), weights.transpose(1, 2))  # (B, C, 1)
    return means.unsqueeze(3)


def mean_and_max(one: Tensor, other: Tensor) -> Tensor:
    """Return both over the channels of two maps: twice (B, h, H, W) -> (B, 2, H, W).

    Without putting the two together, which would copy them. In this order, as LSK stacks them.
    """
    mean = (one.mean(1, keepdim=True) + other.mean(1, keepdim=True)) * 0.5
    largest = torch.maximum(one.amax(1, keepdim=True), other.amax(1, keepdim=True))
    return torch.cat([mean, largest], dim=1)


def means_weighed_by(vector: Tensor, x: Tensor) -> Tensor:
    """Return means over positions, weighed by a softmax of the products with one vector.

    As an inference form has it, whose values are projected once they are summed up.

    Args:
        vector: (1, 1, C).
        x: (B, C, H, W).

    Returns:
        (B, C).
    """
    flat = x.flatten(2)  # (B, C, N)
    weights = torch.matmul(vector, flat).softmax(2)  # (B, 1, N)
    return torch.bmm(flat, weights.transpose(1, 2)).flatten(1)
