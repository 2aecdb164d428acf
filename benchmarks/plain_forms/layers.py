"""What the plain forms share: making one of a module, its layers in another dress, means."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

M = TypeVar("M", bound=nn.Module)

Form = Callable[[Tensor], Tensor]
"""Maps (B, C, H, W) to (B, C, H, W)."""


def written(forward: Callable[[M, Tensor], Tensor]) -> Callable[[M], Form]:
    """Return a function that makes a form of a module: ``forward`` with that module's layers."""

    def of(module: M) -> Form:
        return partial(forward, module)

    of.__doc__ = forward.__doc__
    return of


class Plain(nn.Module):
    """A form as a module: calling one takes its time, as calling ours does."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return self.form(x)


def mean(x: Tensor) -> Tensor:
    """Return the mean of each channel, as most write it: (B, C, H, W) -> (B, C, 1, 1)."""
    return F.adaptive_avg_pool2d(x, 1)


def upright(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means of the rows and of the columns: (B, C, H, 1), (B, C, W, 1)."""
    rows = F.adaptive_avg_pool2d(x, (None, 1))
    return rows, F.adaptive_avg_pool2d(x, (1, None)).permute(0, 1, 3, 2)


def on_vectors(layer: nn.Conv2d) -> nn.Linear:
    """Return a 1x1 convolution as a linear layer that shares its weights."""
    with torch.device("meta"):
        linear = nn.Linear(layer.in_channels, layer.out_channels, bias=layer.bias is not None)
    return _sharing(linear, layer, layer.weight.flatten(1))


def on_maps(layer: nn.Linear) -> nn.Conv2d:
    """Return a linear layer as a 1x1 convolution that shares its weights."""
    with torch.device("meta"):
        conv = nn.Conv2d(layer.in_features, layer.out_features, 1, bias=layer.bias is not None)
    return _sharing(conv, layer, layer.weight[..., None, None])


def on_lines(layer: nn.Conv2d) -> nn.Conv1d:
    """Return a convolution of k x 1 as one along a line, (B, C, L), that shares its weights."""
    taps = layer.kernel_size[0]
    with torch.device("meta"):
        line = nn.Conv1d(
            layer.in_channels,
            layer.out_channels,
            taps,
            padding=taps // 2,
            groups=layer.groups,
            bias=layer.bias is not None,
        )
    return _sharing(line, layer, layer.weight.squeeze(3))


def _sharing(made: M, layer: nn.Conv2d | nn.Linear, weight: Tensor) -> M:
    made.weight = nn.Parameter(weight.detach(), requires_grad=False)
    if layer.bias is not None:
        made.bias = nn.Parameter(layer.bias.detach(), requires_grad=False)
    return made
