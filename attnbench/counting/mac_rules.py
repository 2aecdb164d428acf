"""Multiply-adds (MACs) of each operator, as pure functions of shapes.

The convention of the project: one MAC per multiply-add of a convolution, a linear layer
or a matrix product (attention matmuls included), and nothing else. Biases, normalizations,
activations, pooling and element-wise work are 0 MACs. So are, by the same convention:

- element-wise products, also where a sum follows or an outer product broadcasts them;
- sampling: grids, regions of interest, the offsets of a deformable convolution, whose MACs are
  those of the plain convolution;
- Fourier transforms.

A product of three operands (bilinear forms) has one MAC per term of its sum: B x out x in1 x in2.
The pairwise Euclidean distance has those of the matrix product that computes it, whichever kernel
runs; other distances multiply nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
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


def grouped_product(left: Shape, right: Shape) -> int:
    """Return the MACs of a matrix product for each group, the rows or columns split in groups."""
    return matrix_product(left, right) // (left[0] if len(left) > len(right) else 1)


def distances(left: Shape, right: Shape, norm: float = 2.0, *_: Any) -> int:
    """Return the MACs of the distances of (..., m, k) to (..., n, k): those of left x right^T."""
    batches = zip_longest(reversed(left[:-2]), reversed(right[:-2]), fillvalue=1)
    return prod(map(max, batches)) * left[-2] * right[-2] * left[-1] if norm == 2 else 0


def own_distances(rows: Shape, norm: float = 2.0) -> int:
    """Return the MACs of the distances between all pairs of n rows (n, k)."""
    return rows[0] * (rows[0] - 1) // 2 * rows[1] if norm == 2 else 0


def product_of_three(
    first: Shape,
    second: Shape,
    third: Shape,
    expand_first: Sequence[int],
    expand_second: Sequence[int],
    expand_third: Sequence[int],
    summed: Sequence[int],
) -> int:
    """Return the terms of the sum over ``summed`` of three broadcast operands; 0 if none is."""
    expanded = (_expanded(first, expand_first), _expanded(second, expand_second))
    sizes = zip(*expanded, _expanded(third, expand_third), strict=True)
    return prod(map(max, sizes)) if summed else 0


def recurrent_layer(sequence: Shape, weights: Sequence[Shape]) -> int:
    """Return the MACs of a recurrent layer: each of its matrices meets every position once."""
    return prod(sequence[:-1]) * sum(prod(weight) for weight in weights if len(weight) == 2)


def _expanded(shape: Shape, axes: Sequence[int]) -> Shape:
    """Return a shape with axes of size 1 at these positions."""
    sizes = list(shape)
    for axis in sorted(axes):
        sizes.insert(axis, 1)
    return tuple(sizes)


def plain_convolution(args: Sequence[Any], output: Shape) -> int:
    """Return the MACs of an operator that is a convolution and never transposed."""
    return convolution(args[0], args[1], output)


def transposed_convolution(args: Sequence[Any], output: Shape) -> int:
    """Return the MACs of an operator that is a transposed convolution."""
    return convolution(args[0], args[1], output, transposed=True)


def _of_arguments(macs: Callable[..., int], *positions: int) -> Rule:
    return lambda args, _: macs(*[args[at] for at in positions])


# fmt: off
_NEVER_TRANSPOSED = (
    "cudnn_convolution", "cudnn_convolution_relu", "cudnn_convolution_add_relu",
    "miopen_convolution", "miopen_convolution_relu", "miopen_convolution_add_relu",
    "miopen_depthwise_convolution", "mkldnn_convolution", "_mps_convolution",
    "_slow_conv2d_forward", "_conv_depthwise2d", "conv_depthwise3d", "slow_conv3d_forward",
    "slow_conv_dilated2d", "slow_conv_dilated3d", "_nnpack_spatial_convolution",
    "torchvision::deform_conv2d", "mkldnn::_convolution_pointwise",
)
_TRANSPOSED = (
    "cudnn_convolution_transpose", "miopen_convolution_transpose", "_mps_convolution_transpose",
    "slow_conv_transpose2d", "slow_conv_transpose3d",
)
_BY_COLUMNS = (
    "_weight_int8pack_mm", "_weight_int4pack_mm", "_weight_int4pack_mm_for_cpu",
    "_weight_int4pack_mm_with_scales_and_zeros", "_dyn_quant_matmul_4bit", "_mixed_dtypes_linear",
    "fbgemm_linear_int8_weight", "fbgemm_linear_int8_weight_fp32_activation",
    "fbgemm_linear_fp16_weight", "fbgemm_linear_fp16_weight_fp32_activation",
)
"""Linear layers with packed weights, whose shapes say nothing."""
_ATTENTION = (
    "scaled_dot_product_attention", "_scaled_dot_product_attention_math",
    "_scaled_dot_product_attention_math_for_mps", "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention", "_scaled_dot_product_fused_attention_overrideable",
    "higher_order::flex_attention",
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
    **dict.fromkeys(_TRANSPOSED, transposed_convolution),
    **dict.fromkeys(
        ("mm", "bmm", "mv", "dot", "vdot", "_int_mm", "_scaled_mm", "_scaled_mm_v2"),
        _of_arguments(matrix_product, 0, 1),
    ),
    **dict.fromkeys(
        ("addmm", "_addmm_activation", "baddbmm", "addbmm", "addmv"),
        _of_arguments(matrix_product, 1, 2),
    ),
    **dict.fromkeys(
        ("_grouped_mm", "_scaled_grouped_mm", "_scaled_grouped_mm_v2"),
        _of_arguments(grouped_product, 0, 1),
    ),
    "addr": lambda args, _: prod(args[1]) * prod(args[2]),
    **dict.fromkeys(
        ("linear", "mkldnn_linear", "mkldnn::_linear_pointwise"), _of_arguments(linear, 0, 1)
    ),
    **dict.fromkeys(_BY_COLUMNS, lambda args, output: prod(output) * args[0][-1]),
    **dict.fromkeys(_ATTENTION, _of_arguments(attention, 0, 1, 2)),
    "conv_tbc": lambda args, output: prod(output[:2]) * prod(args[1]),
    **dict.fromkeys(("_cdist_forward", "_euclidean_dist"), lambda args, _: distances(*args)),
    "_pdist_forward": lambda args, _: own_distances(*args),
    "_trilinear": lambda args, _: product_of_three(*args[:7]),
    "mkldnn_rnn_layer": lambda args, _: recurrent_layer(args[0], args[1:3]),
    **dict.fromkeys(("_cudnn_rnn", "miopen_rnn"), _of_arguments(recurrent_layer, 0, 1)),
    "_lstm_mps": _of_arguments(recurrent_layer, 0, 2),
    # the weights are the last list, behind the states and the sizes of a packed sequence
    **dict.fromkeys(
        ("lstm", "gru", "rnn_tanh", "rnn_relu"),
        lambda args, _: recurrent_layer(args[0], [a for a in args[:4] if isinstance(a, list)][-1]),
    ),
}
"""Mapping from packet name (with its namespace, if not aten) to rule."""

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
