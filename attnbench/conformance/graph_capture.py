"""Graph capture: the module as one graph, for torch.compile and torch.export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from attnbench.conformance.findings import Finding, failure, success
from attnbench.conformance.module_under_test import Subject, join_shape, relative_error
from attnbench.runtimes.torch_export import capture_output, root_cause

_TOLERANCE = 1e-5
_ONE_GRAPH = (
    "Write forward in tensor operations alone: no .item(), no print, no branch on values, no "
    "NumPy, no calls that the compiler cannot follow."
)
_ANY_BATCH = (
    "Take the batch from x.shape[0] where a shape needs it (or -1, flatten, unflatten), never as "
    "a number, and do not branch on it."
)


def graph(subject: Subject) -> Iterator[Finding]:
    """Capture one graph in eval and in training, and run it on other shapes."""
    for mode in ("eval", "training"):
        with own_dynamo(), capture_output():
            found = list(_compiled(subject, mode))
        yield from found
        if found:
            return


def export(subject: Subject) -> Iterator[Finding]:
    """Export with a dynamic batch, from two examples; report whether sizes can be dynamic."""
    with capture_output():
        found = list(_exported(subject, 3)) or list(_exported(subject, 2))
        free = not found and _free_size(subject)
    yield from found or [success(dynamic_size=free)]


def _compiled(subject: Subject, mode: str) -> Iterator[Finding]:
    module = subject.build().train(mode == "training")
    call = torch.compile(module, fullgraph=True, backend="eager")
    # the default shape, another batch and, if allowed, another size
    for x in (subject.maps(3), subject.maps(2), *_double_size(subject)):
        place = f"{mode} at {join_shape(x.shape)}"
        try:
            found = _seeded(call, x, grad=mode == "training")
            if found.requires_grad:
                found.square().mean().backward()  # type: ignore[no-untyped-call]
        except Exception as error:
            yield failure(f"is not one graph in {place}: {root_cause(error)}", _ONE_GRAPH)
            return
        if mode == "training":
            continue  # running statistics and random numbers differ: eval is compared
        error_ = relative_error(found, _seeded(subject.build().eval(), x))
        if error_ > _TOLERANCE:
            yield failure(
                f"its graph gives another output in {place}, off by {error_:.1e} of the largest "
                "value",
                "Let forward depend on its input alone, not on attributes that it changes.",
                error=error_,
            )
            return


def _double_size(subject: Subject) -> list[Tensor]:
    """Return a map of twice the size, if one instance supports both sizes."""
    size = (2 * subject.size[0], 2 * subject.size[1])
    if subject.attention.signature.takes_feature_size or subject.refusal(subject.channels, size):
        return []
    x = subject.maps(2, size=size)
    with suppress(Exception):  # the check `maps` reports it
        _seeded(subject.build().eval(), x)
        return [x]
    return []


def _exported(subject: Subject, example: int) -> Iterator[Finding]:
    module = subject.build().eval()
    try:
        program = _program(module, subject.maps(example), {})
    except Exception as error:
        yield failure(
            f"cannot be exported with a free batch from an example of {example}: {_why(error)}",
            _ANY_BATCH,
        )
        return
    for batch in (1, 2, 5):
        x = subject.maps(batch)
        try:
            error_ = relative_error(_seeded(program, x), _seeded(module, x))
        except Exception as error:
            yield failure(
                f"exported from a batch of {example}, it fails on {batch}: {root_cause(error)}",
                _ANY_BATCH,
            )
            return
        if error_ > _TOLERANCE:
            yield failure(
                f"exported from a batch of {example}, its output on {batch} is off by "
                f"{error_:.1e} of the largest value",
                _ANY_BATCH,
                error=error_,
            )
            return


def _free_size(subject: Subject) -> bool:
    free = torch.export.Dim.DYNAMIC
    module = subject.build().eval()
    for x in _double_size(subject):
        with suppress(Exception):
            found = _seeded(_program(module, subject.maps(3), {2: free, 3: free}), x)
            return relative_error(found, _seeded(module, x)) <= _TOLERANCE
    return False


@torch.no_grad()
def _program(module: nn.Module, x: Tensor, sizes: Mapping[int, Any]) -> nn.Module:
    free = {0: torch.export.Dim("batch", min=1, max=64), **sizes}
    program = torch.export.export(module, (x,), dynamic_shapes=(free,), strict=False)
    recorded: nn.Module = program.module()
    return recorded


def _why(error: Exception) -> str:
    """Return the reason of a failed export: the violated constraint, or the root cause."""
    lines = (line.strip() for line in str(error).splitlines())
    violation = next((line for line in lines if line.startswith("- ") and "batch" in line), "")
    return violation.removeprefix("- ").partition(". ")[0] or root_cause(error)


def _seeded(call: Any, x: Tensor, *, grad: bool = False) -> Tensor:
    torch.manual_seed(0)
    with torch.set_grad_enabled(grad):
        y: Tensor = call(x.clone().requires_grad_(grad))
    return y


@contextmanager
def own_dynamo() -> Iterator[None]:
    """Reset the compiler before and afterwards: its limits count by code object."""
    torch._dynamo.reset()
    try:
        yield
    finally:
        torch._dynamo.reset()
