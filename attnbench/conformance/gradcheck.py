"""Gradient check: comparison of autograd with central finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from attnbench.conformance.findings import Finding, broken, listed
from attnbench.conformance.module_under_test import Subject

_STEPS = (1e-6, 1e-3)
"""Step sizes; the second is for modules that compute in float32, where the first is noise."""
_TOLERANCE = 1e-4
_NOISE = 10.0
"""Tolerated gradient error, as a multiple of the error of an inaccurate difference."""
_FLOOR = 1e-3
"""Fraction of the largest gradient below which a difference is rounding error."""
_DRAWS = 2
_INPUT = "the input"

Place = tuple[str, Tensor]
"""Name of a tensor with a gradient, and the tensor."""


def wrong_slopes(subject: Subject) -> Iterator[Finding]:
    """Compare directional derivatives in eval with central differences, tensor by tensor.

    A kink of a ReLU or maximum may lie within the step of one draw; only gradients that differ in
    all draws are reported.
    """
    errors: dict[str, float] = {}
    for draw in range(_DRAWS):
        for name, error in _errors(subject, draw).items():
            errors[name] = min(error, errors.get(name, float("inf")))
    wrong = {name: error for name, error in errors.items() if error > _TOLERANCE}
    if wrong:
        worst = max(wrong, key=lambda name: wrong[name])
        names = [worst, *(name for name in wrong if name != worst)]
        by = f"{min(wrong[worst], 1):.2g} of its size"
        yield broken(
            f"wrong gradient to {listed(names)}: it is off by {by} from central differences",
            "Correct the backward of an autograd.Function, or take out .data or detach(); if a "
            "detach() is deliberate, say so in Card.exceptions['gradients'].",
            errors=wrong,
        )


def _errors(subject: Subject, draw: int) -> dict[str, float]:
    module = subject.build(seed=draw).double().eval()
    x = subject.maps(2, seed=draw + 1, dtype=torch.float64).requires_grad_()
    weights = subject.maps(2, seed=draw + 100, dtype=torch.float64)
    y = module(x.clone())
    if y.dtype != torch.float64 or not y.requires_grad:
        return {}  # reported by `dtypes`, or as a cut graph by `gradients`
    (y * weights).sum().backward()
    places: list[Place] = [
        (_INPUT, x),
        *(
            (name, parameter)
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        ),
    ]
    largest = max(_norm(tensor.grad) for _, tensor in places)
    loss = _loss(module, x, weights)
    return {name: _error(loss, tensor, _FLOOR * largest) for name, tensor in places}


def _loss(module: nn.Module, x: Tensor, weights: Tensor) -> Callable[[], float]:
    def loss() -> float:
        # a fresh tensor, so that a module that caches by identity does not reuse a result
        return float((module(x.detach().clone()) * weights).sum())

    return loss


def _error(loss: Callable[[], float], tensor: Tensor, floor: float) -> float:
    """Return the relative error of autograd to a central difference along one direction."""
    generator = torch.Generator().manual_seed(7)
    direction = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
    grad = tensor.grad
    found = 0.0 if grad is None else float((grad * direction).sum())
    error = float("inf")
    for step in _STEPS:
        fine, coarse = (_slope(loss, tensor, direction * size) / size for size in (step, 2 * step))
        scale = max(_norm(grad), abs(fine), floor, 1e-30)
        doubt = abs(fine - coarse) / scale
        error = abs(found - fine) / scale
        if doubt <= _TOLERANCE:
            return error
        error = 0.0 if error <= _NOISE * doubt else error
    return error


def _slope(loss: Callable[[], float], tensor: Tensor, move: Tensor) -> float:
    with torch.no_grad():
        start = tensor.clone()
        try:
            tensor.copy_(start + move)
            up = loss()
            tensor.copy_(start - move)
            down = loss()
        finally:
            tensor.copy_(start)
    return (up - down) / 2


def _norm(grad: Tensor | None) -> float:
    return 0.0 if grad is None else float(grad.norm())
