"""Gradient check: each live parameter and the input get a gradient, as finite differences show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import isfinite

import torch
from torch import Tensor

from attnbench.conformance.findings import (
    BROKEN,
    DECLARED,
    NOTE,
    Finding,
    failure,
    join_names,
    note,
)
from attnbench.conformance.module_under_test import Subject
from attnbench.utils.text import describe

_DRAWS = 4
"""Number of draws of weights and maps: a ReLU may be inactive in one, but not in all."""
_ZERO = {torch.float64: 1e-9, torch.float32: 1e-5}
"""Fraction of the largest gradient below which a gradient is rounding error of zero."""


@dataclass
class _Reached:
    """Gradients of parameters and input, over all draws."""

    parameters: dict[str, float | None] = field(default_factory=dict)
    """Name to its largest gradient, relative to the largest of the draw; None: no gradient."""
    frozen: list[str] = field(default_factory=list)
    input: float | None = None
    nonfinite: list[str] = field(default_factory=list)
    """Names of tensors with gradients that are NaN or infinite."""
    cut: bool = False
    """Whether the output depends on no tensor that requires a gradient."""


def gradients(subject: Subject) -> Iterator[Finding]:
    """Compute gradients in training, in float64, and compare them with finite differences."""
    reached = _Reached()
    for draw in range(_DRAWS):
        _draw(subject, draw, reached)
    if reached.cut:
        yield failure(
            "the output is cut off from the input and all parameters: nothing gets a gradient",
            "Compute it without no_grad, detach() and .data.",
        )
        return
    if reached.nonfinite:
        names = list(dict.fromkeys(reached.nonfinite))
        yield failure(
            f"the gradient of {join_names(names)} is NaN or infinite on ordinary maps",
            "Add an epsilon within a root and to a divisor: at zero their slope is infinite.",
            parameters=names,
        )
        return
    if not reached.input:
        seen = "no gradient" if reached.input is None else "a gradient of exactly zero"
        yield failure(
            f"the input gets {seen}: nothing before the module would learn",
            "Compute the output from the input itself, not from a detach() or .data of it.",
        )
    yield from _to_parameters(subject, reached)
    yield from _again(subject)
    yield from _wrong_slopes(subject)


def _draw(subject: Subject, draw: int, reached: _Reached) -> None:
    module = subject.build(seed=draw).to(subject.exact).train()
    x = subject.maps(seed=draw + 1, dtype=subject.exact).requires_grad_()
    y = module(x.clone())
    if not y.requires_grad:
        reached.cut = True
        return
    # random weights of the outputs: gradients of a plain sum vanish behind a norm or softmax
    (y * subject.maps(seed=draw + 100, dtype=subject.exact)).sum().backward()
    everything = {"the input": x, **dict(module.named_parameters())}
    reached.nonfinite += [name for name, at in everything.items() if not isfinite(_size(at))]
    largest = max(_size(tensor) for tensor in everything.values())
    reached.input = _larger(reached.input, x, largest)
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            before = reached.parameters.get(name)
            reached.parameters[name] = _larger(before, parameter, largest)
        elif name not in reached.frozen:
            reached.frozen.append(name)


def _size(tensor: Tensor) -> float:
    grad = tensor.grad
    return 0.0 if grad is None or not grad.numel() else float(grad.abs().max())


def _larger(before: float | None, tensor: Tensor, largest: float) -> float | None:
    if tensor.grad is None:
        return before
    share = _size(tensor) / largest if largest else 0.0
    return max(before or 0.0, share)


def _to_parameters(subject: Subject, reached: _Reached) -> Iterator[Finding]:
    dead = subject.card.dead if subject.card else {}
    zero = _ZERO[subject.exact]
    low = {k: share for k, share in reached.parameters.items() if share is None or share < zero}
    expected = {name: pattern for name in low if (pattern := _match(name, dead))}
    for pattern, why in dead.items():
        names = [name for name, matched in expected.items() if matched == pattern]
        yield from _named(DECLARED, names, f"{{}} gets no gradient (declared: {why})", "")
    unexpected = {name: share for name, share in low.items() if name not in expected}
    yield from _named(
        BROKEN,
        [name for name, share in unexpected.items() if share is None],
        "{} gets no gradient: never used",
        "Use it or remove it; declare under Card.dead what has to stay.",
    )
    yield from _named(
        BROKEN,
        [name for name, share in unexpected.items() if share == 0],
        f"the gradient of {{}} is exactly zero in {_DRAWS} draws",
        "Take it out from behind what cuts it off (max, comparison, rounding, detach), or "
        "declare it under Card.dead.",
    )
    yield from _named(
        NOTE,
        [name for name, share in unexpected.items() if share],
        "the gradient of {} is zero but for rounding: what follows takes it away",
        "Leave out a bias before a norm or softmax, or declare it under Card.dead.",
    )
    remedy = "Make what never learns a buffer."
    yield from _named(NOTE, reached.frozen, "{} is frozen by requires_grad=False", remedy)
    if not subject.attention.spec.options:  # other options may give a gradient to a dead parameter
        yield from _alive(reached, dead, zero)


def _named(status: str, names: list[str], reason: str, remedy: str) -> Iterator[Finding]:
    """Yield a finding about parameters, if there are any; ``{}`` in the reason is their names."""
    if names:
        text = reason.replace("{}", join_names(names), 1)
        yield Finding(status, text, remedy, values={"parameters": names})


def _alive(reached: _Reached, dead: Mapping[str, str], zero: float) -> Iterator[Finding]:
    shares = reached.parameters.items()
    yield from _named(
        NOTE,
        [name for name, share in shares if (share or 0.0) >= zero and _match(name, dead)],
        "{} is declared dead and gets a gradient",
        "Take it out of Card.dead.",
    )
    names = [*reached.parameters, *reached.frozen]
    unmatched = [at for at in dead if not any(fnmatchcase(name, at) for name in names)]
    if unmatched:
        yield note(
            f"Card.dead names {join_names(unmatched)}, which no parameter is called",
            "Correct the name, or take it out.",
            patterns=unmatched,
        )


def _match(name: str, dead: Mapping[str, str]) -> str | None:
    # name of the module within a blend
    own = name.removeprefix("attention.")
    matching = (at for at in dead if fnmatchcase(name, at) or fnmatchcase(own, at))
    return next(matching, None)


def _again(subject: Subject) -> Iterator[Finding]:
    """Train two steps, and report state that is kept between them and breaks backward."""
    module = subject.build().train()
    try:
        for seed in (1, 2):
            y: Tensor = module(subject.maps(seed=seed).requires_grad_().clone())
            torch.autograd.backward(y.square().mean())
            with torch.no_grad():
                for parameter in module.parameters():
                    if parameter.grad is not None:
                        parameter.sub_(1e-3 * parameter.grad)
                        parameter.grad = None
    except Exception as error:
        yield failure(
            f"a second backward pass in training raises {describe(error)}",
            "Keep no tensor of one forward pass for the next, or detach what is kept.",
        )


_STEPS = (1e-6, 1e-3)
"""Step sizes; the second is for modules that compute in float32, where the first is noise."""
_TOLERANCE = 1e-4
_NOISE = 10.0
"""Tolerated gradient error, as a multiple of the error of an inaccurate difference."""
_FLOOR = 1e-3
"""Fraction of the largest gradient below which a difference is rounding error."""


def _wrong_slopes(subject: Subject) -> Iterator[Finding]:
    """Compare directional derivatives in eval with central differences, tensor by tensor.

    A kink of a ReLU or maximum may lie within the step of one draw; only gradients that differ in
    all draws are reported.
    """
    errors: dict[str, float] = {}
    for draw in range(2):
        for name, error in _errors(subject, draw).items():
            errors[name] = min(error, errors.get(name, float("inf")))
    wrong = {name: error for name, error in errors.items() if error > _TOLERANCE}
    if wrong:
        worst = max(wrong, key=lambda name: wrong[name])
        names = [worst, *(name for name in wrong if name != worst)]
        by = f"{min(wrong[worst], 1):.2g} of its size"
        yield failure(
            f"wrong gradient to {join_names(names)}: it is off by {by} from central differences",
            "Correct the backward of an autograd.Function, or take out .data or detach(); if a "
            "detach() is deliberate, say so in Card.exceptions['gradients'].",
            errors=wrong,
        )


def _errors(subject: Subject, draw: int) -> dict[str, float]:
    module = subject.build(seed=draw).to(subject.exact).eval()
    x = subject.maps(2, seed=draw + 1, dtype=subject.exact).requires_grad_()
    weights = subject.maps(2, seed=draw + 100, dtype=subject.exact)
    y = module(x.clone())
    if y.dtype != subject.exact or not y.requires_grad:
        return {}  # reported by `dtypes`, or as a cut graph by `gradients`
    (y * weights).sum().backward()
    places = {"the input": x, **{n: p for n, p in module.named_parameters() if p.requires_grad}}
    largest = max(_norm(tensor.grad) for tensor in places.values())

    def loss() -> float:
        # a fresh tensor, so that a module that caches by identity does not reuse a result
        return float((module(x.detach().clone()) * weights).double().sum())

    return {name: _error(loss, tensor, _FLOOR * largest) for name, tensor in places.items()}


def _error(loss: Callable[[], float], tensor: Tensor, floor: float) -> float:
    """Return the relative error of autograd to a central difference along one direction."""
    generator = torch.Generator().manual_seed(7)
    direction = torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor.dtype)
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


@torch.no_grad()
def _slope(loss: Callable[[], float], tensor: Tensor, move: Tensor) -> float:
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
