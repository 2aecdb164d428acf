"""Counts of fvcore.nn.FlopCountAnalysis on a TorchScript trace, hence on a real copy."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from math import prod
from typing import Any

from torch import Tensor, nn

from attnbench.counting.forward_pass import on_real_copy
from attnbench.counting.reconcile import RawCount, RawCounts
from attnbench.counting.traced_nodes import macs_of_node

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
_EINSUM_ORDER = "numpy contracts the operands in another order"
_EINSUM_PRODUCT = "an einsum that sums nothing is element-wise"
_MATMUL_BATCH = "the batch sizes of the right operand are left out"

_PRODUCTS = frozenset(
    f"aten::{name}" for name in ("_convolution", "linear", "matmul", "einsum", "mm", "bmm", "addmm")
)
"""Operators whose handles count multiply-adds."""


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
    handles = analysis._op_handles  # in the table in use, not in a copy of it
    for kind in _PRODUCTS & handles.keys():
        analysis.set_op_handle(kind, observer.observe(kind, handles[kind]))
    # it is called with every node that has no handle
    vars(analysis)["_should_ignore_node"] = observer.beside(analysis._should_ignore_node)
    total = int(analysis.total())
    unsupported = {_bare(kind): int(calls) for kind, calls in analysis.unsupported_ops().items()}
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
    """An observer of the nodes that fvcore counts or misses, with our count from their shapes."""

    def __init__(self) -> None:
        self.rows: list[RawCount] = []

    def observe(self, kind: str, handle: Callable[..., Any]) -> Callable[..., Any]:
        """Return a handle with the same result that records it beside our count."""

        def observed(inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
            macs = macs_of_node(outputs[0].node())
            result = handle(inputs, outputs)
            raw = int(sum(result.values()) if isinstance(result, Counter) else result)
            why = "" if raw == macs else _why(kind, inputs, outputs, raw, macs)
            name = next(iter(result)) if isinstance(result, Counter) else _bare(kind)
            self.rows.append(RawCount(name, raw, macs, why))
            return result

        return observed

    def beside(self, ignores: Callable[[Any], bool]) -> Callable[[Any], bool]:
        """Return a test with the same result that records our count of each node it lets pass."""

        def observed(node: Any) -> bool:
            ignored = ignores(node)
            macs = 0 if ignored else macs_of_node(node)
            if macs:
                self.rows.append(RawCount(_bare(node.kind()), 0, macs, _MISSED))
            return ignored

        return observed


def _why(kind: str, inputs: Sequence[Any], outputs: Sequence[Any], raw: int, macs: int) -> str:
    """Return the known flaw of fvcore's formula that this call exhibits, or ""."""
    if kind == "aten::einsum":
        if not macs:
            return _EINSUM_PRODUCT
        if abs(raw - macs) <= 0.0005 * macs + 1:
            return _EINSUM_DIGITS
        return _EINSUM_ORDER if _is_reordered(inputs) else ""
    if kind == "aten::matmul":
        left = inputs[0].type().sizes()
        return _MATMUL_BATCH if prod(outputs[0].type().sizes()[:-2]) != prod(left[:-2]) else ""
    return ""


def _is_reordered(inputs: Sequence[Any]) -> bool:
    """Return whether an einsum has several orders, or sums an index of one operand alone."""
    operands, _, kept = inputs[0].toIValue().replace(" ", "").partition("->")
    uses = Counter(index for operand in operands.split(",") for index in {*operand})
    alone = any(calls == 1 and index not in kept for index, calls in uses.items() if index != ",")
    return alone or operands.count(",") > 1


def _bare(kind: str) -> str:
    return kind.removeprefix("aten::")
