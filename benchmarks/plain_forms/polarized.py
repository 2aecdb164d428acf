"""Both layouts of polarized self-attention, as the paper has them."""

from __future__ import annotations

import torch
from attnbench_modules.polarized_parallel import PolarizedParallel
from attnbench_modules.polarized_sequential import PolarizedSequential
from torch import Tensor

from .layers import mean, written

Either = PolarizedParallel | PolarizedSequential


@written
def polarized_parallel(module: PolarizedParallel, x: Tensor) -> Tensor:
    """Liu et al. 2021, the parallel layout: both gates of x; softmax of the spatial scores."""
    by_channel = x * torch.sigmoid(module.up(_pooled(module, x)))
    scores = torch.matmul(_mean_query(module, x), module.value(x).flatten(2)).softmax(2)
    return by_channel + x * torch.sigmoid(scores).view(len(x), 1, *x.shape[2:])


@written
def polarized_sequential(module: PolarizedSequential, x: Tensor) -> Tensor:
    """Liu et al. 2021, the sequential layout: one after the other; softmax of the values."""
    hidden = module.relu(module.norm(module.squeeze(_pooled(module, x))))
    x = x * torch.sigmoid(module.up(hidden))
    values = module.value(x).flatten(2).softmax(2)  # (B, C/2, N)
    scores = torch.matmul(_mean_query(module, x), values)  # (B, 1, N)
    return x * torch.sigmoid(scores).view(len(x), 1, *x.shape[2:])


def _pooled(module: Either, x: Tensor) -> Tensor:
    """Return the channel branch's weighted mean: (B, C, H, W) -> (B, C/2, 1, 1)."""
    values = module.channel_value(x).flatten(2)  # (B, C/2, N)
    weights = module.mask(x).flatten(2).softmax(2)  # (B, 1, N)
    return torch.matmul(values, weights.transpose(1, 2)).unsqueeze(3)


def _mean_query(module: Either, x: Tensor) -> Tensor:
    """Return the spatial branch's query: (B, C, H, W) -> (B, 1, C/2)."""
    return mean(module.query(x)).flatten(2).transpose(1, 2)
