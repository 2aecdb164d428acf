"""Multiply-adds (MACs) of each operator, as pure functions of shapes.

The convention of the project: one MAC per multiply-add of a convolution, a linear layer
or a matrix product (attention matmuls included), and nothing else. Biases, normalizations,
activations, pooling and element-wise work are 0 MACs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

Shape = tuple[int, ...]
Rule = Callable[[Sequence[Any], Shape], int]
"""(arguments of the aten operator with shapes in place of tensors, output shape) -> MACs."""


def convolution(image: Shape, weight: Shape, output: Shape, *, transposed: bool = False) -> int:
    """Return the MACs of a convolution in any number of dimensions, grouped or not.

    Args:
        image: input, (batch, channels, *size).
        weight: (out, in / groups, *kernel), or (in, out / groups, *kernel) if transposed.
        output: (batch, out, *size).
        transposed: every *input* position, not every output position, meets the kernel.
    """
    positions = image[2:] if transposed else output[2:]
    return image[0] * prod(weight) * prod(positions)


def matrix_product(left: Shape, right: Shape) -> int:
    """Return the MACs of (..., m, k) x (..., k, n), of (m, k) x (k,) and of (k,) x (k,)."""
    return prod(left) * (right[-1] if len(right) > 1 else 1)


def linear(features: Shape, weight: Shape) -> int:
    """Return the MACs of a linear layer: features (..., in), weight (out, in)."""
    return prod(features) * weight[0]


def attention(query: Shape, key: Shape, value: Shape) -> int:
    """Return the MACs of both matmuls of scaled dot-product attention, masked positions included.

    Args:
        query: (..., queries, d); its leading dimensions are used, so that the count is correct for
            grouped-query attention, whose key has fewer heads.
        key: (..., keys, d).
        value: (..., keys, e).
    """
    return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _convolution(args: Sequence[Any], output: Shape) -> int:
    return convolution(args[0], args[1], output, transposed=bool(args[6]))


def _plain_convolution(args: Sequence[Any], output: Shape) -> int:
    return convolution(args[0], args[1], output)


def _product(args: Sequence[Any], _output: Shape) -> int:
    return matrix_product(args[0], args[1])


def _added_product(args: Sequence[Any], _output: Shape) -> int:
    return matrix_product(args[1], args[2])


def _linear(args: Sequence[Any], _output: Shape) -> int:
    return linear(args[0], args[1])


def _attention(args: Sequence[Any], _output: Shape) -> int:
    return attention(args[0], args[1], args[2])


RULES: Mapping[str, Rule] = {
    "convolution": _convolution,
    "_convolution": _convolution,
    "convolution_overrideable": _convolution,
    "cudnn_convolution": _plain_convolution,
    "cudnn_convolution_relu": _plain_convolution,
    "mkldnn_convolution": _plain_convolution,
    "_slow_conv2d_forward": _plain_convolution,
    "_conv_depthwise2d": _plain_convolution,
    "conv_depthwise3d": _plain_convolution,
    "slow_conv3d_forward": _plain_convolution,
    "deform_conv2d": _plain_convolution,
    "mm": _product,
    "bmm": _product,
    "mv": _product,
    "dot": _product,
    "vdot": _product,
    "_int_mm": _product,
    "_scaled_mm": _product,
    "addmm": _added_product,
    "_addmm_activation": _added_product,
    "baddbmm": _added_product,
    "addbmm": _added_product,
    "addmv": _added_product,
    "linear": _linear,
    "mkldnn_linear": _linear,
    "scaled_dot_product_attention": _attention,
    "_scaled_dot_product_attention_math": _attention,
    "_scaled_dot_product_attention_math_for_mps": _attention,
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_efficient_attention": _attention,
    "_scaled_dot_product_cudnn_attention": _attention,
    "_scaled_dot_product_fused_attention_overrideable": _attention,
}
"""Mapping from aten packet name to rule. An operator without an entry has no MACs."""

BIAS: Mapping[str, int] = {
    "convolution": 2,
    "_convolution": 2,
    "convolution_overrideable": 2,
    "mkldnn_convolution": 2,
    "linear": 2,
    "mkldnn_linear": 2,
    "addmm": 0,
    "_addmm_activation": 0,
    "baddbmm": 0,
    "addbmm": 0,
    "addmv": 0,
}
"""Mapping from aten packet name to the position of the argument added to every output element."""

FREE = frozenset(
    {
        "empty",
        "empty_like",
        "empty_strided",
        "new_empty",
        "new_empty_strided",
        "_unsafe_view",
        "_reshape_alias",
        "lift_fresh",
        "detach_",
        "t_",
        "transpose_",
        "squeeze_",
        "unsqueeze_",
        "as_strided_",
        "resize_",
        "set_",
    }
)
"""Operators that move no data, besides those whose schema declares that they return a view."""

NO_STATISTICS = frozenset(
    {"native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"}
)
"""Operators that write only their first output in eval mode, although meta kernels return more."""
