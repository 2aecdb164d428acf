"""Operators without a rule whose MACs are unknown, as opposed to those without any.

An operator may multiply two large operands without a rule: one of another library, a higher-order
one, a matrix function, or one that a later torch adds. It counts as unknown unless it is listed
here, family by family, as one that multiplies nothing but element by element.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from attnbench.counting.mac_rules import FREE, RULES

# fmt: off
WITHOUT_PRODUCT = (
    # arithmetic, comparison and logic, element by element
    r"add|sub|rsub|mul|div|floor_divide|remainder|fmod|pow|lerp|addcmul|addcdiv|_add_relu|ldexp",
    r"eq|ne|lt|le|gt|ge|where|isin|equal|allclose|is_same_size|is_set_to|_has_same_storage_numel",
    r"maximum|minimum|fmax|fmin|clamp(_max|_min)?|heaviside|copysign|nextafter|hypot|atan2|dist",
    r"(logical|bitwise)_\w+|__i?[lr]shift__|gcd|lcm|xlogy|logaddexp2?|igammac?|special_\w+",
    r"polar|complex|linalg_(cross|vector_norm|_powsum)|_cummax_helper|_cummin_helper",
    # activations, gates, dropout, norms and their gradients
    r"(elu|gelu|glu|hardshrink|hardsigmoid|hardswish|hardtanh|leaky_relu|log_sigmoid|logit|sigmoid"
    r"|silu|mish|softplus|softshrink|tanh|threshold|_prelu_kernel|rrelu_with_noise|native_dropout)_backward",
    r"_prelu_kernel|rrelu_with_noise(_functional)?|glu_jvp|glu_backward_jvp|_thnn_fused_\w+_cell",
    r"_(log_)?softmax_backward_data|_sparse_(log_)?softmax_backward_data",
    r"_masked_(softmax|softmax_backward|scale)|_nested_tensor_softmax_with_shape",
    r"\w*(batch|layer|group|rms)_norm\w*|_weight_norm_interface(_backward)?|_batch_norm_\w+",
    r"_transform_bias_rescale_qkv|_thnn_fused_(gru_cell_backward|lstm_cell_backward_impl)",
    # losses
    r"(binary_cross_entropy|mse_loss|huber_loss|smooth_l1_loss|soft_margin_loss|multi_margin_loss"
    r"|nll_loss2?d?|multilabel_margin_loss)(_with_logits|_forward|_backward)?",
    r"(_|_cudnn_|miopen_)ctc_loss(_backward)?|_use_(cudnn|miopen)_ctc_loss",
    # pooling, padding, resizing and sampling
    r"\w*(avg|max)_(un)?pool[123]?d\w*|(reflection|replication)_pad[123]d_backward",
    r"(_|cudnn_)?grid_sampler(_[23]d)?(_cpu_fallback)?(_backward)?",
    r"torchvision::(_?(ps_|q)?roi_(align|pool)(_backward)?|_ps_roi_\w+|q?nms|box_iou_rotated)",
    # indexing, joining, copies and layouts
    r"index(_\w+)?|_index_put_impl|_unsafe_(masked_)?index\w*|gather|scatter(_add|_reduce)?|take",
    r"masked_(fill|scatter|scatter_backward|select)|(select|slice|diagonal|as_strided)_scatter",
    r"slice_inverse|cat|_?stack|_chunk_cat|block_diag|lu_unpack|embedding(_\w+)?|_embedding_\w+",
    r"put|copy|fill|set|_copy_from(_and_resize)?|shallow_copy_data|resize_as(_sparse)?",
    r"_make_dual(_copy)?|_pack_padded_sequence|_jagged_to_padded_dense_forward|_padded_dense_to_jagged_forward",
    r"_nested_(from|tensor_from|view_from|select|sum)_\w+|_new_zeros_with_same_feature_meta",
    r"_convert_indices_\w+|_validate_\w+|sparse_compressed_tensor|_sparse_coo_tensor_\w+|_spdiags",
    r"copy_sparse_to_sparse|sparse_mask|_sparse_mask_projection|_sparse_sum_backward",
    r"_cudnn_rnn_flatten_weight|_dyn_quant_pack_4bit_weight",
    # counting, sorting, ranges and random numbers
    r"_?histogram\w*|bincount|bucketize|searchsorted|_?segment_reduce(_backward)?|(lin|log)space",
    r"normal|bernoulli|binomial|randint_like|_philox_\w+|_standard_gamma_grad|_dirichlet_grad",
    # quantization and its simulation
    r"quantize_per_\w+|dequantize|_?fake_quantize_\w+|_fused_moving_avg_\w+|_make_per_\w+",
    r"_empty_per_channel_affine_quantized",
    # optimizers, choices of a kernel and torch's own tests
    r"_foreach_(?!mm|\w*(matmul|addmm))\w+|_fused_(adam|adamw|adagrad|sgd)|_amp_\w+",
    r"_fused_sdp_choice|_functional_assert_async|_linalg_check_errors|_test_\w+",
    # profiling and communication
    r"(profiler|c10d|_c10d_functional|c10d_functional)::\w+|prims::(?!svd)\w+",
)
"""Patterns of packet names, in place or not, that take several tensors and multiply no matrices."""
# fmt: on
_WITHOUT_PRODUCT = re.compile("|".join(WITHOUT_PRODUCT))
_MATRIX_FUNCTION = re.compile(r"_?linalg_\w+|cholesky\w*|geqrf|orgqr|inverse|matrix_exp|\w*_svd")
"""Operators of one matrix that multiply it by itself, or factor it."""


def packet_name(operator: Any) -> str:
    """Return ``convolution``, ``torchvision::nms``, or the name of a higher-order operator."""
    packet = getattr(operator, "_overloadpacket", None)
    if packet is None:
        return f"higher_order::{operator.__name__}"
    name = str(packet.__name__)
    return name if operator.namespace == "aten" else f"{operator.namespace}::{name}"


def plain_name(name: str) -> str:
    """Return the name of the operator that ``name`` is, or of which it is the in-place form."""
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


def is_free(name: str) -> bool:
    """Return whether an operator is known to multiply no matrices."""
    return name in FREE or _WITHOUT_PRODUCT.fullmatch(plain_name(name)) is not None


@cache
def tensors_of_unknown(operator: Any) -> int | None:
    """Return how many large tensors make this operator one of unknown MACs; None if none do.

    Every operator of another library is unknown, whatever it takes; a matrix function takes one
    tensor, an operator of torch that is not listed two.
    """
    name = packet_name(operator)
    plain = plain_name(name)
    if plain in RULES or is_free(name):
        return None
    if "::" in name and not name.startswith("torchvision::"):
        return 0
    if operator.is_view:
        return None
    if _MATRIX_FUNCTION.fullmatch(plain):
        return 1
    return 2 if sum(_tensors(operator)) > 1 else None


def _tensors(operator: Any) -> Iterator[int]:
    """Yield the number of tensors of each argument that is read: 2 for a list of them."""
    for argument in operator._schema.arguments:
        kind = str(argument.type)
        if "Tensor" in kind and not argument.is_out:
            yield 2 if "List" in kind else 1
