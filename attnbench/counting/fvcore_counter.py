"""Counts of fvcore.nn.FlopCountAnalysis on a TorchScript trace, hence on a real copy."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from attnbench.counting import mac_rules
from attnbench.counting.forward_pass import on_real_copy
from attnbench.counting.mac_rules import Shape
from attnbench.counting.raw_counts import RawCount, RawCounts
from attnbench.counting.trace import macs_of

UNIT = (
    "MACs of convolutions, linear layers, matmuls and einsum, plus 2 per element of batch norm,"
    " 5 of other norms, 1 per input element of adaptive average pooling, 4 per output element of"
    " bilinear upsampling"
)

_EXTRAS = {
    "batch_norm": "counts batch normalisation, 2 per element",
    "group_norm": "counts group normalisation, 5 per element",
    "layer_norm": "counts layer normalisation, 5 per element",
    "instance_norm": "counts instance normalisation, 5 per element",
    "upsample_nearest2d": "counts nearest upsampling, 1 per output element",
    "upsample_bilinear2d": "counts bilinear upsampling, 4 per output element",
    "adaptive_avg_pool2d": "counts adaptive average pooling, 1 per input element",
    "grid_sampler": "counts grid sampling, 4 per output element",
}
"""Operators that fvcore counts although they have no MACs: their counts are subtracted in full."""

_MISSED = "fvcore has no handle for this operator"
_EINSUM_DIGITS = "numpy's cost of the contraction is printed to four digits"
_EINSUM_PRODUCT = "an einsum that sums nothing is element-wise"
_MATMUL_BATCH = "the batch sizes of the right operand are left out"

_Ours = Callable[[Sequence[Any], Sequence[Any]], int]


def count(model: nn.Module, input_size: tuple[int, ...]) -> RawCounts:
    """Count with fvcore on a real CPU copy of `model`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore uses torch.jit, which is deprecated
        return on_real_copy(model, input_size, _count)


def _count(model: nn.Module, image: Tensor) -> RawCounts:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(model, (image,)).tracer_warnings("none")
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    observer = _Observer()
    observer.attach(analysis)
    total = int(analysis.total())
    unsupported = Counter({_bare(k): int(n) for k, n in analysis.unsupported_ops().items()})
    unsupported.update(observer.missed)
    return RawCounts(
        name="fvcore",
        version=version("fvcore"),
        unit=UNIT,
        factor=1,
        total=total,
        rows=(*observer.rows, *_unseen(analysis.by_operator(), observer.rows)),
        unsupported=dict(sorted(unsupported.items())),
    )


class _Observer:
    """An observer of fvcore's handles that records our count for each call, from its shapes."""

    def __init__(self) -> None:
        self.rows: list[RawCount] = []
        self.missed: Counter[str] = Counter()

    def attach(self, analysis: Any) -> None:
        handles = dict(analysis._op_handles)  # the table in use, not a copy of it
        for kind, ours in _PRODUCTS.items():
            if kind in handles:
                analysis.set_op_handle(kind, self._beside(kind, handles[kind], ours))
            else:
                analysis.set_op_handle(kind, self._instead(kind, ours))

    def _beside(self, kind: str, handle: Callable[..., Any], ours: _Ours) -> Callable[..., Any]:
        def counted(inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
            result = handle(inputs, outputs)
            raw = int(sum(result.values()) if isinstance(result, Counter) else result)
            macs = ours(inputs, outputs)
            why = "" if raw == macs else _why(kind, inputs, outputs, raw, macs)
            name = next(iter(result)) if isinstance(result, Counter) else _bare(kind)
            self.rows.append(RawCount(name, raw, macs, why))
            return result

        return counted

    def _instead(self, kind: str, ours: _Ours) -> Callable[..., Any]:
        def missed(inputs: Sequence[Any], outputs: Sequence[Any]) -> Counter[str]:
            self.missed[_bare(kind)] += 1
            self.rows.append(RawCount(_bare(kind), 0, ours(inputs, outputs), _MISSED))
            return Counter()  # fvcore's own total stays unchanged

        return missed


def _unseen(counts: Any, rows: Sequence[RawCount]) -> list[RawCount]:
    """Return the rows of the operators that are not matrix products."""
    seen = {row.operator for row in rows}
    return [
        RawCount(name, int(raw), 0, _EXTRAS.get(name, ""))
        for name, raw in sorted(counts.items())
        if name not in seen
    ]


def _why(kind: str, inputs: Sequence[Any], outputs: Sequence[Any], raw: int, macs: int) -> str:
    """Return the known flaw of fvcore's formula that this call exhibits, or ""."""
    if kind == "aten::einsum":
        if not macs:
            return _EINSUM_PRODUCT
        return _EINSUM_DIGITS if abs(raw - macs) <= 0.0005 * macs + 1 else ""
    if kind == "aten::matmul":
        left = _shape(inputs[0])
        return _MATMUL_BATCH if prod(_shape(outputs[0])[:-2]) != prod(left[:-2]) else ""
    return ""


def _shape(value: Any) -> Shape:
    return tuple(value.type().sizes())


def _convolution(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    transposed = bool(inputs[6].toIValue())
    image, weight = _shape(inputs[0]), _shape(inputs[1])
    return mac_rules.convolution(image, weight, _shape(outputs[0]), transposed=transposed)


def _padded_convolution(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    return mac_rules.convolution(_shape(inputs[0]), _shape(inputs[1]), _shape(outputs[0]))


def _product(inputs: Sequence[Any], _outputs: Sequence[Any]) -> int:
    return mac_rules.matrix_product(_shape(inputs[0]), _shape(inputs[1]))


def _added_product(inputs: Sequence[Any], _outputs: Sequence[Any]) -> int:
    return mac_rules.matrix_product(_shape(inputs[1]), _shape(inputs[2]))


def _linear(inputs: Sequence[Any], _outputs: Sequence[Any]) -> int:
    return mac_rules.linear(_shape(inputs[0]), _shape(inputs[1]))


def _attention(inputs: Sequence[Any], _outputs: Sequence[Any]) -> int:
    query, key, value = (_shape(part) for part in inputs[:3])
    return mac_rules.attention(query, key, value)


def _matmul(inputs: Sequence[Any], _outputs: Sequence[Any]) -> int:
    return macs_of(torch.matmul, _shape(inputs[0]), _shape(inputs[1]))


def _einsum(inputs: Sequence[Any], _outputs: Sequence[Any]) -> int:
    equation = inputs[0].toIValue()
    shapes = [_shape(part) for part in inputs[1].node().inputs()]
    return macs_of(lambda *operands: torch.einsum(equation, *operands), *shapes)


_PRODUCTS: dict[str, _Ours] = {
    "aten::_convolution": _convolution,
    "aten::_convolution_mode": _padded_convolution,
    "aten::addmm": _added_product,
    "aten::baddbmm": _added_product,
    "aten::addbmm": _added_product,
    "aten::addmv": _added_product,
    "aten::mm": _product,
    "aten::bmm": _product,
    "aten::mv": _product,
    "aten::dot": _product,
    "aten::matmul": _matmul,
    "aten::linear": _linear,
    "aten::einsum": _einsum,
    "aten::scaled_dot_product_attention": _attention,
}


def _bare(kind: str) -> str:
    return kind.removeprefix("aten::")
