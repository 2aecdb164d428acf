"""Check of the inference form: ``fuse()`` keeps the output and does not change the module."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnbench.conformance.findings import Finding, failure, note, success
from attnbench.conformance.module_under_test import Size, Subject, join_shape, relative_error, run
from attnbench.models.fuse import fuse as fused_copy
from attnbench.models.fuse import has_fused_form
from attnbench.registry.blend import Blend
from attnbench.runtimes.torch_export import root_cause

_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
_SIZES: tuple[Size, ...] = ((7, 9), (14, 14), (3, 2))
_LAYOUTS = (torch.contiguous_format, torch.channels_last)


def fuse(subject: Subject) -> Iterator[Finding]:
    """Compare both forms with perturbed weights, over sizes, batches, layouts and precisions."""
    if not has_fused_form(subject.build()):
        yield success("it has none")
        return
    yield from _left_alone(subject)
    sizes = [
        size for size in _SIZES if size != subject.size and subject.runs(subject.channels, size)
    ]
    worst = 0.0
    for dtype, size in product(_TOLERANCE, (subject.size, *sizes)):
        plain = subject.build(size=size).to(dtype).train()
        form = fused_copy(plain)  # from training mode: the mode must not matter
        for batch, layout in product((1, 3), _LAYOUTS):
            x = subject.maps(batch, size=size, dtype=dtype).contiguous(memory_format=layout)
            given = x.clone()
            wanted, y = run(plain.eval(), x.clone()), run(form, given)
            error = relative_error(y, wanted)
            worst = max(worst, error)
            found = list(_wrong(y, x, error, kept=torch.equal(given, x)))
            yield from found
            if found:
                return
    yield from _form(fused_copy(subject.build()), subject.build())
    yield success(error=worst)


def _wrong(y: Tensor, x: Tensor, error: float, *, kept: bool) -> Iterator[Finding]:
    place = f"at {join_shape(x.shape)} in {str(x.dtype).removeprefix('torch.')}"
    if error > _TOLERANCE[x.dtype]:
        yield failure(
            f"the inference form's output {place} is off by {error:.1e} of its largest value, "
            f"{_TOLERANCE[x.dtype]:.0e} is allowed",
            "Fold what eval computes: running statistics with eps, biases, dropout left out; and "
            "fold in double precision.",
            error=error,
        )
    elif not kept:
        yield failure(
            f"the inference form changes its input {place}",
            "Work in place on tensors of its own only, never on x or a view of it.",
        )
    elif y.dtype != x.dtype or any(_is(x, layout) and not _is(y, layout) for layout in _LAYOUTS):
        yield failure(
            f"the inference form loses the dtype or layout of its input {place}: it gives "
            f"{y.dtype} with strides {y.stride()}",
            "Return a map of the input's dtype and memory format, as the plain form does.",
        )


def _left_alone(subject: Subject) -> Iterator[Finding]:
    module = subject.build().train()
    target = module.attention if isinstance(module, Blend) else module
    before, modes = copy.deepcopy(target.state_dict()), _modes(target)
    try:
        form = target.fuse()  # type: ignore[operator]
    except Exception as error:
        yield failure(
            f"fuse() in training mode raises {root_cause(error)}",
            "Build the inference form from weights and running statistics, in any mode.",
        )
        return
    if not isinstance(form, nn.Module):
        return  # fused_copy raises for it
    after = target.state_dict()
    changed = [key for key in before if key not in after or not _same(before[key], after[key])]
    if changed or _modes(target) != modes:
        what = f"its {changed[0]}" if changed else "its mode"
        yield failure(
            f"fuse() changes the module: {what}", "Return a new module with clones of the weights."
        )


def _form(form: nn.Module, plain: nn.Module) -> Iterator[Finding]:
    counted, allowed = (sum(p.numel() for p in module.parameters()) for module in (form, plain))
    if counted > allowed:
        yield note(f"the inference form has {counted} parameters, the plain one {allowed}")
    norms = sum(isinstance(layer, _BatchNorm) for layer in form.modules())
    if norms:
        yield note(
            f"the inference form still has {norms} batch norm{'s' * (norms != 1)}",
            "Fold each into the convolution before it.",
        )


def _modes(module: nn.Module) -> list[bool]:
    return [layer.training for layer in module.modules()]


def _same(first: object, second: object) -> bool:
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.equal(first, second)
    return first is second or bool(first == second)


def _is(x: Tensor, layout: torch.memory_format) -> bool:
    return x.is_contiguous(memory_format=layout)
