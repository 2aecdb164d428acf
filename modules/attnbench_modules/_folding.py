"""What the inference forms share: a batch norm taken into the convolution before it."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


def folded(layer: nn.Conv2d, norm: nn.Module) -> nn.Conv2d:
    """Return one frozen convolution, with bias, that gives ``norm(layer(x))`` in eval.

    Computed in double precision: a small running variance must not cost digits.

    Args:
        layer: any convolution; it is not changed and shares nothing with the result.
        norm: the batch norm behind it, or nn.Identity.
    """
    weight, bias = layer.weight.detach().double(), _bias(layer)
    if isinstance(norm, nn.BatchNorm2d):
        scale, shift = affine(norm)
        weight, bias = weight * scale[:, None, None, None], bias * scale + shift
    return frozen(_like(layer), weight, bias, layer.weight)


def merged(*layers: nn.Conv2d) -> nn.Conv2d:
    """Return one frozen 1x1 convolution with bias that gives what all give, one below the other."""
    weights = torch.cat([layer.weight.detach().double() for layer in layers])
    biases = torch.cat([_bias(layer) for layer in layers])
    with torch.device("meta"):
        one = nn.Conv2d(layers[0].in_channels, len(weights), 1)
    return frozen(one, weights, biases, layers[0].weight)


def scaled(layer: nn.Conv2d, factor: float) -> nn.Conv2d:
    """Return a frozen convolution that gives ``factor * layer(x)``."""
    weight, bias = layer.weight.detach().double(), _bias(layer)
    return frozen(_like(layer), weight * factor, bias * factor, layer.weight)


def frozen(layer: nn.Conv2d, weight: Tensor, bias: Tensor, like: Tensor) -> nn.Conv2d:
    """Set both, in the dtype and on the device of ``like``, as parameters that do not train."""
    layer.weight = nn.Parameter(weight.to(like), requires_grad=False)
    layer.bias = nn.Parameter(bias.to(like), requires_grad=False)
    return layer.eval()


def linear(layer: nn.Conv2d, norm: nn.Module | None = None, *, times: int = 1) -> nn.Linear:
    """Return a frozen linear layer for vectors, (..., C) -> (..., D), that does what a 1x1 does.

    A convolution of a 1x1 map is set up for longer than it computes.

    Args:
        layer: 1x1 convolution.
        norm: the batch norm behind it.
        times: the bias is added as often: the layer sees a sum of so many vectors.
    """
    one = folded(layer, norm) if norm else layer
    with torch.device("meta"):
        vector = nn.Linear(one.in_channels, one.out_channels, bias=one.bias is not None)
    vector.weight = nn.Parameter(one.weight.detach().flatten(1).clone(), requires_grad=False)
    if one.bias is not None:
        vector.bias = nn.Parameter(one.bias.detach() * times, requires_grad=False)
    return vector.eval()


def conv(layer: nn.Module) -> nn.Conv2d:
    """Return ``layer`` if it is the convolution that it must be.

    Raises:
        TypeError: it was replaced by something else.
    """
    if not isinstance(layer, nn.Conv2d):
        raise TypeError(f"expected a Conv2d, found a {type(layer).__name__}")
    return layer


def affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return (scale, shift) of a batch norm in eval, one value a channel, in double precision.

    Raises:
        ValueError: it has no running statistics.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a batch norm without running statistics cannot be folded")
    scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
    return scale, norm.bias.detach().double() - norm.running_mean.double() * scale


def traced() -> bool:
    """Whether a graph is being recorded for another runtime, which optimises it as it likes."""
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
    return tracing or torch.compiler.is_exporting()


def _bias(layer: nn.Conv2d) -> Tensor:
    if layer.bias is None:
        return layer.weight.new_zeros(layer.out_channels, dtype=torch.double)
    return layer.bias.detach().double()


def _like(layer: nn.Conv2d) -> nn.Conv2d:
    """Return a convolution of the same settings, with bias, whose weights are not yet there."""
    with torch.device("meta"):
        return nn.Conv2d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]  # a pair, as nn.Conv2d keeps it
            stride=layer.stride,  # type: ignore[arg-type]
            padding=layer.padding,  # type: ignore[arg-type]
            dilation=layer.dilation,  # type: ignore[arg-type]
            groups=layer.groups,
        )


def vector_norm(norm: nn.LayerNorm) -> nn.LayerNorm:
    """Return a frozen layer norm for vectors, (..., C), of one for 1x1 maps, (B, C, 1, 1)."""
    with torch.device("meta"):
        vector = nn.LayerNorm(norm.weight.numel(), norm.eps)
    vector.weight = nn.Parameter(norm.weight.detach().flatten().clone(), requires_grad=False)
    vector.bias = nn.Parameter(norm.bias.detach().flatten().clone(), requires_grad=False)
    return vector.eval()


def chained(first: nn.Conv2d, second: nn.Conv2d) -> nn.Conv2d:
    """Return one frozen 1x1 convolution with bias for two 1x1 convolutions in a row."""
    before, after = (layer.weight.detach().double().flatten(1) for layer in (first, second))
    weight = (after @ before)[..., None, None]
    bias = after @ _bias(first) + _bias(second)
    with torch.device("meta"):
        one = nn.Conv2d(first.in_channels, second.out_channels, 1)
    return frozen(one, weight, bias, second.weight)


def copied(layer: M) -> M:
    """Return a frozen copy of layers as they are."""
    return copy.deepcopy(layer).requires_grad_(False).eval()


def parted(layer: nn.Conv2d, widths: list[int]) -> list[nn.Conv2d]:
    """Return frozen 1x1 convolutions that give what one gives, cut into channels of ``widths``."""
    weights = torch.split(layer.weight.detach().clone(), widths)
    biases = torch.split(_bias(layer).clone(), widths)
    with torch.device("meta"):
        parts = [nn.Conv2d(layer.in_channels, width, 1) for width in widths]
    return [frozen(*one, layer.weight) for one in zip(parts, weights, biases, strict=True)]
