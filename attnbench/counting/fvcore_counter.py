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

from attnbench.counting.forward_pass import on_real_copy
from attnbench.counting.mac_rules import RULES, Rule, Shape, plain_convolution
from attnbench.counting.reconcile import RawCount, RawCounts
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
    for kind, ours in _PRODUCTS.items():
        handle = analysis._op_handles.get(kind)  # in the table in use, not in a copy of it
        analysis.set_op_handle(kind, observer.observe(kind, handle, ours))
    total = int(analysis.total())
    unsupported = Counter({_bare(k): int(n) for k, n in analysis.unsupported_ops().items()})
    unsupported.update(observer.missed)
    seen = {row.operator for row in observer.rows}
    # the operators that are not matrix products
    others = [(name, int(n)) for name, n in analysis.by_operator().items() if name not in seen]
    unseen = [RawCount(name, raw, 0, _EXTRAS.get(name, "")) for name, raw in sorted(others)]
    return RawCounts(
        version=version("fvcore"),
        unit=UNIT,
        total=total,
        rows=(*observer.rows, *unseen),
        unsupported=dict(sorted(unsupported.items())),
    )


class _Observer:
    """An observer of fvcore's handles that records our count for each call, from its shapes."""

    def __init__(self) -> None:
        self.rows: list[RawCount] = []
        self.missed: Counter[str] = Counter()

    def observe(
        self, kind: str, handle: Callable[..., Any] | None, ours: _Ours
    ) -> Callable[..., Any]:
        def observed(inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
            macs = ours(inputs, outputs)
            if handle is None:
                self.missed[_bare(kind)] += 1
                self.rows.append(RawCount(_bare(kind), 0, macs, _MISSED))
                return Counter()  # fvcore's own total stays unchanged
            result = handle(inputs, outputs)
            raw = int(sum(result.values()) if isinstance(result, Counter) else result)
            why = "" if raw == macs else _why(kind, inputs, outputs, raw, macs)
            name = next(iter(result)) if isinstance(result, Counter) else _bare(kind)
            self.rows.append(RawCount(name, raw, macs, why))
            return result

        return observed


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


def _by_rule(rule: Rule) -> _Ours:
    """Return our count of a call by the rule of the aten operator, whose arguments it has."""
    return lambda inputs, outputs: rule([_argument(value) for value in inputs], _shape(outputs[0]))


def _argument(value: Any) -> Any:
    return value.type().sizes() if isinstance(value.type(), torch.TensorType) else value.toIValue()


def _matmul(inputs: Sequence[Any], _outputs: Sequence[Any]) -> int:
    return macs_of(torch.matmul, _shape(inputs[0]), _shape(inputs[1]))


def _einsum(inputs: Sequence[Any], _outputs: Sequence[Any]) -> int:
    equation = inputs[0].toIValue()
    shapes = [_shape(part) for part in inputs[1].node().inputs()]
    return macs_of(lambda *operands: torch.einsum(equation, *operands), *shapes)


_MATRIX = ("mm", "bmm", "mv", "dot", "addmm", "baddbmm", "addbmm", "addmv")
_BY_RULE = ("_convolution", "linear", "scaled_dot_product_attention", *_MATRIX)
_PRODUCTS: dict[str, _Ours] = {
    **{f"aten::{name}": _by_rule(RULES[name]) for name in _BY_RULE},
    "aten::_convolution_mode": _by_rule(plain_convolution),
    "aten::matmul": _matmul,
    "aten::einsum": _einsum,
}


def _bare(kind: str) -> str:
    return kind.removeprefix("aten::")
