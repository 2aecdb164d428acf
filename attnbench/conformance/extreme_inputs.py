"""Extreme inputs: finite maps give finite outputs; NaN and infinity stay in their image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from attnbench.conformance.findings import Failures, Finding, failure, skip
from attnbench.conformance.module_under_test import Subject, relative_error
from attnbench.conformance.trained_maps import empty_channel, empty_position, one_spike
from attnbench.utils.text import describe

_LARGE = 1e4
_PATIENCE = 50
"""Tolerated number of operators on a non-finite map, relative to an ordinary one."""
_LEAST = 2000
_EXACT = 1e-5


_MAPS: dict[str, Callable[[Tensor], Tensor]] = {
    "zeros": torch.zeros_like,
    "all +1": torch.ones_like,
    "all -1": lambda x: -torch.ones_like(x),
    "one channel of zeros": empty_channel,
    "one position of zeros": empty_position,
    "all +1e4": lambda x: torch.full_like(x, _LARGE),
    "all -1e4": lambda x: torch.full_like(x, -_LARGE),
    "all 1e-6": lambda x: torch.full_like(x, 1e-6),
    "a spike of 1e4": lambda x: one_spike(x, _LARGE),
    "all negative": lambda x: -x.abs(),
    "1e4 times normal": lambda x: x * _LARGE,
}
_DIFFERENTIABLE = (
    "zeros",
    "all +1",
    "all -1",
    "one channel of zeros",
    "one position of zeros",
    "all negative",
)
"""Maps that occur in training: their gradients must be finite as well."""


def extremes(subject: Subject) -> Iterator[Finding]:
    """Run extreme maps in float32, with initial and perturbed weights, in eval and training."""
    failures = Failures()
    usual = subject.maps()
    in_eval = {moved: subject.build(moved=moved).eval() for moved in (False, True)}
    for name, training, moved in product(_MAPS, (False, True), (False, True)):
        x = _MAPS[name](usual)
        module = subject.build(moved=moved) if training else in_eval[moved]
        problem = _problem(module, x, backward=training and name in _DIFFERENTIABLE)
        if problem:
            mode = "training" if training else "eval"
            # one finding per kind of error: the numbers in the texts may differ
            failures.add(problem.partition(":")[0], problem, f"{name} in {mode}")
    yield from failures.findings(
        lambda kind: (
            "Add an epsilon within a root and to a divisor, subtract the largest value before exp, "
            "or use softmax and sigmoid."
        )
    )


def _problem(module: nn.Module, x: Tensor, *, backward: bool) -> str | None:
    leaves = [x.requires_grad_(), *module.parameters()] if backward else []
    try:
        with torch.set_grad_enabled(backward):
            y: Tensor = module(x.clone())
            if backward and y.requires_grad:
                torch.autograd.backward(y.sum())
    except Exception as error:
        return f"forward raises {describe(error)}"
    if not y.isfinite().all():
        return "the output is NaN or infinite"
    finite = all(leaf.grad is None or bool(leaf.grad.isfinite().all()) for leaf in leaves)
    return None if finite else "the output is finite and the gradient is not"


def nan(subject: Subject) -> Iterator[Finding]:
    """Set one value of one image of three to NaN, then the whole image to NaN and infinity."""
    module = subject.build().eval()
    clean = subject.maps(3)
    counter = _OperatorLimit(None)
    with torch.no_grad(), counter:
        wanted = module(clean)
    if not wanted.isfinite().all():
        yield skip("its output is not finite on ordinary maps either", "See maps.")
        return
    single, whole, infinite = clean.clone(), clean.clone(), clean.clone()
    single[0, 0, 0, 0] = whole[0] = float("nan")
    infinite[0] = float("inf")
    limit = _PATIENCE * counter.used + _LEAST
    for name, x in (("one NaN", single), ("an image of NaN", whole), ("infinity", infinite)):
        y = _run_limited(module, x, limit)
        if isinstance(y, Finding):
            yield y
        elif name != "infinity":  # infinity only has to terminate
            yield from _judged(y, wanted, name)


def _run_limited(module: nn.Module, x: Tensor, limit: int) -> Any:
    try:
        with torch.no_grad(), _OperatorLimit(limit):
            return module(x)
    except _TooLongError:
        return failure(
            f"forward does not end on NaN or infinity: stopped after {limit} operators",
            "Bound the number of iterations; no comparison with NaN is ever true.",
        )
    except Exception as error:
        return failure(
            f"NaN or infinity in the input raises {describe(error)}",
            "Let it through to the output: training loops look for it there.",
        )


def _judged(y: Tensor, wanted: Tensor, name: str) -> Iterator[Finding]:
    if not y[0].isnan().any():
        yield failure(
            f"{name} in the input leaves no NaN in the output of its image",
            "Take out nan_to_num and comparisons that hide it: nobody would notice the fault.",
        )
    others, effect = y[1:], ""
    share = 1 - float(others.isfinite().double().mean())
    if share:
        effect = f"spoils {share:.0%} of the output of the others"
    elif (error := relative_error(others, wanted[1:])) > _EXACT:
        effect = f"changes the output of the others by {error:.1e}"
    if effect:
        yield failure(
            f"{name} in the first image {effect}",
            "Reduce over channels and positions of each image, never over dimension 0.",
        )


class _TooLongError(Exception):
    """Excess of the operator limit."""


class _OperatorLimit(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Operator counter that raises an exception after ``limit`` operators.

    Time is not limited: a slow machine is not a hang. A loop without operators is not detected.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # otherwise torch imports all of dynamo (seconds) at the first operator

    def __init__(self, limit: int | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.limit, self.used = limit, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.used += 1
        if self.limit is not None and self.used > self.limit:
            raise _TooLongError
        return func(*args, **(kwargs or {}))
