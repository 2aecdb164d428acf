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


def plain_convolution(args: Sequence[Any], output: Shape) -> int:
    """Return the MACs of an operator that is a convolution and never transposed."""
    return convolution(args[0], args[1], output)


def _of_arguments(macs: Callable[..., int], *positions: int) -> Rule:
    return lambda args, _: macs(*[args[at] for at in positions])


# fmt: off
_NEVER_TRANSPOSED = (
    "cudnn_convolution", "cudnn_convolution_relu", "mkldnn_convolution", "_slow_conv2d_forward",
    "_conv_depthwise2d", "conv_depthwise3d", "slow_conv3d_forward", "deform_conv2d",
)
_ATTENTION = (
    "scaled_dot_product_attention", "_scaled_dot_product_attention_math",
    "_scaled_dot_product_attention_math_for_mps", "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention", "_scaled_dot_product_fused_attention_overrideable",
)
FREE = frozenset({
    "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_unsafe_view",
    "_reshape_alias", "lift_fresh", "detach_", "t_", "transpose_", "squeeze_", "unsqueeze_",
    "as_strided_", "resize_", "set_",
})
"""Operators that move no data, besides those whose schema declares that they return a view."""
# fmt: on

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(
        ("convolution", "_convolution", "convolution_overrideable"),
        lambda args, output: convolution(args[0], args[1], output, transposed=bool(args[6])),
    ),
    **dict.fromkeys(_NEVER_TRANSPOSED, plain_convolution),
    **dict.fromkeys(
        ("mm", "bmm", "mv", "dot", "vdot", "_int_mm", "_scaled_mm"),
        _of_arguments(matrix_product, 0, 1),
    ),
    **dict.fromkeys(
        ("addmm", "_addmm_activation", "baddbmm", "addbmm", "addmv"),
        _of_arguments(matrix_product, 1, 2),
    ),
    **dict.fromkeys(("linear", "mkldnn_linear"), _of_arguments(linear, 0, 1)),
    **dict.fromkeys(_ATTENTION, _of_arguments(attention, 0, 1, 2)),
}
"""Mapping from aten packet name to rule. An operator without an entry has no MACs."""

BIAS: Mapping[str, int] = {
    **dict.fromkeys(("convolution", "_convolution", "convolution_overrideable"), 2),
    **dict.fromkeys(("mkldnn_convolution", "linear", "mkldnn_linear"), 2),
    **dict.fromkeys(("addmm", "_addmm_activation", "baddbmm", "addbmm", "addmv"), 0),
}
"""Mapping from aten packet name to the position of the argument added to every output element."""

NO_STATISTICS = frozenset(
    {"native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"}
)
"""Operators that write only their first output in eval mode, although meta kernels return more."""
