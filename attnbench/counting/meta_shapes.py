"""Output shapes of common operators on the meta device, faster than torch's own meta kernels.

torch's own meta kernels of these operators are Python decompositions that take up to milliseconds
each. A rule here covers only the plain case (contiguous floating tensors of one dtype, sizes that
fit); in all other cases it returns NotImplemented, and the real kernel runs and raises its own
errors. `tests/counting/test_meta_shapes.py` compares each rule with the real kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

_aten = torch.ops.aten


def fast_output(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return the meta tensor(s) that `func` would return, or NotImplemented."""
    rule = _RULES.get(func)
    if rule is None or not args or not isinstance(args[0], Tensor) or not args[0].is_meta:
        return NotImplemented
    if not args[0].dtype.is_floating_point:
        return NotImplemented
    return rule(*args, **kwargs)


def _same(image: Tensor, *_: Any, **__: Any) -> Any:
    return image.new_empty(image.shape) if image.is_contiguous() else NotImplemented


def _in_place(image: Tensor, *_: Any, **__: Any) -> Any:
    return image


def _softmax(image: Tensor, dim: int, half_to_float: bool = False) -> Any:
    if half_to_float or not -image.dim() <= dim < image.dim():
        return NotImplemented
    return _same(image)


def _broadcast(left: Tensor, right: Any, **_: Any) -> Any:
    """Return an element-wise result of two tensors of one dtype, the right one broadcast."""
    if not (isinstance(right, Tensor) and _alike(left, right) and left.dim() == right.dim()):
        return NotImplemented
    if any(n not in (1, w) for w, n in zip(left.shape, right.shape, strict=True)):
        return NotImplemented
    return left.new_empty(left.shape)


def _convolution(
    image: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Any:
    """Return a convolution in 1, 2 or 3 dimensions; transposed ones use the real kernel."""
    size = image.shape[2:]
    if transposed or not _alike(image, weight) or weight.dim() != image.dim() or groups < 1:
        return NotImplemented
    if {len(size), len(stride), len(padding), len(dilation)} != {len(stride)} or not size:
        return NotImplemented
    out, depth = weight.shape[:2]
    if image.shape[1] != depth * groups or out % groups or 0 in (*image.shape, *weight.shape):
        return NotImplemented
    if bias is not None and not (_alike(image, bias) and bias.shape == (out,)):
        return NotImplemented
    if min(stride) < 1 or min(dilation) < 1 or min(padding) < 0:
        return NotImplemented
    spans = zip(size, weight.shape[2:], stride, padding, dilation, strict=True)
    reach = [(n + 2 * p - d * (k - 1) - 1, s) for n, k, s, p, d in spans]
    if min(reach)[0] < 0:
        return NotImplemented
    return image.new_empty((image.shape[0], out, *(r // s + 1 for r, s in reach)))


def _batch_norm(
    image: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    training: bool,
    *_: Any,
) -> Any:
    """Return (output, mean, 1 / deviation) of batch normalization in eval mode."""
    if training or mean is None or variance is None or image.dim() < 2:
        return NotImplemented
    kept = image.shape[1:2]
    return _normalized(image, kept, (weight, bias, mean, variance), kept)


def _layer_norm(
    image: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> Any:
    """Return (output, mean, 1 / deviation) of layer normalization; the last two have sizes of 1."""
    inner = tuple(shape)
    if not inner or tuple(image.shape[-len(inner) :]) != inner:
        return NotImplemented
    kept = (*image.shape[: image.dim() - len(inner)], *(1 for _ in inner))
    return _normalized(image, inner, (weight, bias), kept)


def _normalized(
    image: Tensor, shape: tuple[int, ...], parts: Sequence[Tensor | None], kept: tuple[int, ...]
) -> Any:
    """Return a norm's output and statistics of shape ``kept``; ``parts`` must have ``shape``."""
    if image.dtype != torch.float32 or not image.is_contiguous():  # narrower: float32 statistics
        return NotImplemented
    if any(p is not None and (p.shape != shape or p.dtype != image.dtype) for p in parts):
        return NotImplemented
    return image.new_empty(image.shape), image.new_empty(kept), image.new_empty(kept)


def _addmm(added: Tensor, left: Tensor, right: Tensor, **_: Any) -> Any:
    """Return (n,) + (m, k) x (k, n), as in a linear layer."""
    if left.dim() != 2 or right.dim() != 2 or left.shape[1] != right.shape[0]:
        return NotImplemented
    if added.shape != right.shape[1:] or {added.dtype, left.dtype, right.dtype} != {added.dtype}:
        return NotImplemented
    if not (left.is_meta and right.is_meta):
        return NotImplemented
    return left.new_empty((left.shape[0], right.shape[1]))


def _alike(left: Tensor, right: Tensor) -> bool:
    plain = left.is_contiguous() and right.is_contiguous()
    return plain and right.is_meta and left.dtype == right.dtype


_WITH_IN_PLACE = (
    "relu", "hardtanh", "hardswish", "hardsigmoid", "leaky_relu", "elu", "mish", "silu", "sigmoid",
)  # fmt: skip
_ELEMENT_WISE = (*_WITH_IN_PLACE, "gelu", "softplus", "tanh", "exp")

_RULES: dict[Any, Callable[..., Any]] = {
    **{getattr(_aten, name).default: _same for name in _ELEMENT_WISE},
    **{getattr(_aten, f"{name}_").default: _in_place for name in _WITH_IN_PLACE},
    _aten._softmax.default: _softmax,
    _aten._safe_softmax.default: _same,
    _aten.add.Tensor: _broadcast,
    _aten.mul.Tensor: _broadcast,
    _aten.convolution.default: _convolution,
    _aten.native_batch_norm.default: _batch_norm,
    _aten.native_layer_norm.default: _layer_norm,
    _aten.addmm.default: _addmm,
}
