"""Precision checks: float64, float32, bfloat16 and float16, and autocast to both halves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from attnbench.conformance.findings import Finding, failure, skip, success
from attnbench.conformance.module_under_test import Subject, relative_error, run
from attnbench.conformance.trained_maps import describe_infinite
from attnbench.runtimes.torch_export import root_cause

_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Tolerance to the double-precision output of the same weights, relative to its largest value.

Correct modules differ by 1e-7, 1e-2 and 1e-3: a few rounding errors of values of that size.
"""
_CONDITION = 8.0
"""Factor of additional tolerance: the error is also allowed to be this many times the effect of
rounding the input once in double precision, because an ill-conditioned module amplifies
differences in every precision."""
_KEEP = (
    "Compute in the input's dtype: register tensors as buffers, make new ones by "
    "x.new_zeros or zeros_like, and cast back what has to be computed in fp32."
)
_OVERFLOW = (
    "Subtract the largest value before exp, take means instead of sums, compute that step in fp32 "
    "and cast it back, and give divisors and roots an epsilon that the dtype can represent."
)
_HALVES = (torch.float16, torch.bfloat16)
_EXACT = {torch.float64: "double", torch.float32: "single"}


def dtypes(subject: Subject) -> Iterator[Finding]:
    """Run and train in each precision; compare with the most exact one and the same weights."""
    errors: dict[str, float] = {}
    causes: dict[str, tuple[Finding, dict[str, None]]] = {}
    for dtype in _TOLERANCE:
        for cause, found in _tried(subject, dtype, errors):
            causes.setdefault(cause, (found, {}))[1][_name(dtype)] = None
    for found, (_, *others) in causes.values():
        more = f"; in {' and '.join(others)} as well" if others else ""
        yield replace(found, reason=found.reason + more)
    yield success(errors=errors)


def autocast(subject: Subject) -> Iterator[Finding]:
    """Train and run under autocast; compare with fp32."""
    for device in ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]:
        try:
            yield from _under_autocast(subject, device)
        except Exception as error:
            yield failure(
                f"under autocast on {device} it raises {root_cause(error)}",
                "Autocast gives convolutions and products in bf16 and leaves the rest in fp32: "
                "cast both sides to one dtype where they meet in place or by an operator that "
                "does not promote.",
            )


def _tried(
    subject: Subject, dtype: torch.dtype, errors: dict[str, float]
) -> Iterator[tuple[str, Finding]]:
    """Yield the findings in a dtype, each with its cause: one cause is reported once."""
    name, missing = _name(dtype), ""
    for device in ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]:
        try:
            yield from _in_dtype(subject, dtype, device, errors)
        except Exception as error:
            why = root_cause(error)
            if not _not_implemented(error):
                yield "raises", failure(f"in {name} it raises {why}", _KEEP)
                return
            missing = f"{name}: this processor cannot: {why}"
        else:
            return
    yield missing, skip(missing, "Check it where there is CUDA.")


def _in_dtype(
    subject: Subject, dtype: torch.dtype, device: str, errors: dict[str, float]
) -> Iterator[tuple[str, Finding]]:
    module, x = _placed(subject, dtype, device), subject.maps().to(device, dtype)
    exact = _placed(subject, dtype, device).to(subject.exact)
    found, wanted = run(module, x), run(exact, x.to(subject.exact))
    name = _name(dtype)
    errors[name] = relative_error(found, wanted)
    infinite = "" if found.isfinite().all() else "normal maps"
    if dtype in _HALVES:
        infinite = infinite or _infinite_maps(subject, dtype, device)
    if found.dtype != dtype:
        yield "dtype", failure(f"a {name} map comes out in {_name(found.dtype)}", _KEEP)
    elif infinite:
        text = f"in {name} the output is NaN or infinite for {infinite}"
        yield "finite", failure(text, _OVERFLOW)
    elif errors[name] > _allowed(exact, x, wanted):
        yield (
            "error",
            failure(
                f"in {name} the output is off by {errors[name]:.1e} of its largest value from "
                f"{_EXACT[subject.exact]} precision, {_TOLERANCE[dtype]:.0e} is allowed",
                "Sum and normalise in fp32 where numbers cancel, and cast back.",
                error=errors[name],
            ),
        )
    yield from _one_step(module.train(), x, name)


def _infinite_maps(subject: Subject, dtype: torch.dtype, device: str) -> str:
    """Return the maps of trained networks on which a dtype alone is not finite, with the share."""
    return describe_infinite(
        subject,
        lambda module, x: run(module.to(device, dtype), x.to(device, dtype)),
        lambda module, x: run(
            module.to(device, subject.exact), x.to(device, dtype).to(subject.exact)
        ),
        large=dtype == torch.float16,  # the range of bfloat16 is that of float32
    )


def _placed(subject: Subject, dtype: torch.dtype, device: str) -> nn.Module:
    return subject.build().to(device, dtype).eval()


def _allowed(exact: nn.Module, x: Tensor, wanted: Tensor) -> float:
    """Return the tolerance of a dtype, or more where the module amplifies rounding errors."""
    noise = 1 + torch.finfo(x.dtype).eps * torch.randn_like(x.double())
    moved = relative_error(run(exact, (x.double() * noise).to(wanted.dtype)), wanted)
    return max(_TOLERANCE[x.dtype], min(_CONDITION * moved, 0.5))


def _one_step(module: nn.Module, x: Tensor, name: str) -> Iterator[tuple[str, Finding]]:
    given = x.clone().requires_grad_()
    y = module(given)
    y.float().square().mean().backward()
    bad = _nonfinite_gradients(module, given)
    if not y.isfinite().all():
        yield "finite", failure(f"in {name} the output in training is not finite", _OVERFLOW)
    elif bad:
        text = f"in {name} the gradient of {bad[0]} is not finite"
        yield "gradient", failure(text, _OVERFLOW)
    elif y.dtype != x.dtype:
        yield "dtype", failure(f"in training a {name} map comes out in {_name(y.dtype)}", _KEEP)


def _nonfinite_gradients(module: nn.Module, x: Tensor) -> list[str]:
    grads = {"input": x.grad} | {key: p.grad for key, p in module.named_parameters()}
    return [key for key, grad in grads.items() if not (grad is None or grad.isfinite().all())]


def _not_implemented(error: Exception) -> bool:
    return "not implemented for" in str(error)


def _under_autocast(subject: Subject, device: str) -> Iterator[Finding]:
    x = subject.maps().to(device)
    module = subject.build().to(device).eval()
    wanted = run(module, x)
    with torch.autocast(device, torch.bfloat16):
        found = run(module, x)
    error = relative_error(found, wanted)
    # effect of rounding the input to bf16
    moved = relative_error(run(module, x.bfloat16().float()), wanted)
    allowed = max(_TOLERANCE[torch.bfloat16], _CONDITION * moved)
    if found.dtype not in (torch.float32, torch.bfloat16):
        yield failure(f"under autocast on {device} the output is {_name(found.dtype)}", _KEEP)
    elif error > min(allowed, 0.5):
        yield failure(
            f"under autocast on {device} the output is off by {error:.1e} of its largest value "
            f"from fp32, {allowed:.0e} is allowed",
            "Compute sums, exponentials and norms in fp32: torch.autocast(enabled=False).",
            error=error,
        )
    for dtype in _HALVES:
        infinite = _infinite_under_autocast(subject, dtype, device)
        if infinite:
            text = f"under autocast to {_name(dtype)} on {device} the output is NaN or infinite for"
            yield failure(f"{text} {infinite}", _OVERFLOW)
            break
    yield from _trained_under_autocast(subject, x)


def _infinite_under_autocast(subject: Subject, dtype: torch.dtype, device: str) -> str:
    def rounded(module: nn.Module, x: Tensor) -> Tensor:
        with torch.autocast(device, dtype):
            return exact(module, x)

    def exact(module: nn.Module, x: Tensor) -> Tensor:
        return run(module.to(device), x.to(device))

    return describe_infinite(subject, rounded, exact, large=dtype == torch.float16)


def _trained_under_autocast(subject: Subject, x: Tensor) -> Iterator[Finding]:
    module, given = subject.build().to(x.device).train(), x.clone().requires_grad_()
    with torch.autocast(x.device.type, torch.bfloat16):
        y = module(given)
        loss = y.float().square().mean()
    loss.backward()
    bad = _nonfinite_gradients(module, given)
    if not loss.isfinite() or bad:
        what = f"the gradient of {bad[0]}" if bad else "the output"
        yield failure(f"in training under autocast {what} is not finite", _OVERFLOW)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
