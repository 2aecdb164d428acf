"""Precision checks: float64, float32, bfloat16 and float16, and autocast to bfloat16."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from attnbench.conformance.findings import Finding, failure, skip, success
from attnbench.conformance.module_under_test import Subject, relative_error, run
from attnbench.runtimes.torch_export import root_cause

_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}
"""Tolerance to the double-precision output of the same weights, relative to its largest value.

Correct modules differ by 1e-7, 1e-2 and 1e-3: a few rounding errors of values of that size.
"""
_CONDITION = 8.0
"""Factor of additional tolerance: the error is also allowed to be this many times the effect of
rounding the input once in double precision, because an ill-conditioned module amplifies
differences in every precision."""
_LARGE = 10.0
"""Magnitude of features in deep layers of trained networks."""
_KEEP = (
    "Compute in the input's dtype: register tensors as buffers, make new ones by "
    "x.new_zeros or zeros_like, and cast back what has to be computed in fp32."
)
_OVERFLOW = (
    "Subtract the largest value before exp, take means instead of sums, or compute that step in "
    "fp32 and cast it back."
)


def dtypes(subject: Subject) -> Iterator[Finding]:
    """Run and train in each precision; compare with float64 and the same weights."""
    errors: dict[str, float] = {}
    for dtype in _TOLERANCE:
        try:
            yield from _in_dtype(subject, dtype, errors)
        except Exception as error:
            name, why = _name(dtype), root_cause(error)
            if _not_implemented(error):
                yield skip(f"{name}: this processor cannot: {why}", "Check it where there is CUDA.")
            else:
                yield failure(f"in {name} it raises {why}", _KEEP)
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


def _in_dtype(subject: Subject, dtype: torch.dtype, errors: dict[str, float]) -> Iterator[Finding]:
    device = "cuda" if _cpu_cannot(subject, dtype) and torch.cuda.is_available() else "cpu"
    module, x = _placed(subject, dtype, device), subject.maps().to(device, dtype)
    exact = _placed(subject, dtype, device).double()
    found, wanted = run(module, x), run(exact, x.double())
    name = _name(dtype)
    errors[name] = relative_error(found, wanted)
    if found.dtype != dtype:
        yield failure(f"a {name} map comes out in {_name(found.dtype)}", _KEEP)
    elif not found.isfinite().all():
        yield failure(f"in {name} the output of normal maps is not finite", _OVERFLOW)
    elif errors[name] > _allowed(exact, x, wanted):
        yield failure(
            f"in {name} the output is off by {errors[name]:.1e} of its largest value from double "
            f"precision, {_TOLERANCE[dtype]:.0e} is allowed",
            "Sum and normalise in fp32 where numbers cancel, and cast back.",
            error=errors[name],
        )
    elif not _finite_on_large(module, exact, x):
        yield failure(f"in {name} maps of size {_LARGE:g} overflow, in double not", _OVERFLOW)
    yield from _one_step(module.train(), x, name)


def _placed(subject: Subject, dtype: torch.dtype, device: str) -> nn.Module:
    return subject.build().to(device, dtype).eval()


def _cpu_cannot(subject: Subject, dtype: torch.dtype) -> bool:
    """Return whether the CPU lacks an operator in this dtype, in forward or backward."""
    try:
        module, x = _placed(subject, dtype, "cpu"), subject.maps().to(dtype).requires_grad_()
        module(x).sum().backward()
    except Exception as error:
        return _not_implemented(error)
    return False


def _allowed(exact: nn.Module, x: Tensor, wanted: Tensor) -> float:
    """Return the tolerance of a dtype, or more where the module amplifies rounding errors."""
    noise = 1 + torch.finfo(x.dtype).eps * torch.randn_like(x.double())
    moved = relative_error(run(exact, x.double() * noise), wanted)
    return max(_TOLERANCE[x.dtype], min(_CONDITION * moved, 0.5))


def _finite_on_large(module: nn.Module, exact: nn.Module, x: Tensor) -> bool:
    if not run(exact, _LARGE * x.double()).isfinite().all():
        return True  # range is not the cause: the check `extremes` reports it
    return bool(run(module, _LARGE * x).isfinite().all())


def _one_step(module: nn.Module, x: Tensor, name: str) -> Iterator[Finding]:
    given = x.clone().requires_grad_()
    y = module(given)
    y.float().square().mean().backward()
    bad = _nonfinite_gradients(module, given)
    if not y.isfinite().all():
        yield failure(f"in {name} the output in training is not finite", _OVERFLOW)
    elif bad:
        yield failure(f"in {name} the gradient of {bad[0]} is not finite", _OVERFLOW)
    elif y.dtype != x.dtype:
        yield failure(f"in training a {name} map comes out in {_name(y.dtype)}", _KEEP)


def _nonfinite_gradients(module: nn.Module, x: Tensor) -> list[str]:
    grads = {"input": x.grad} | {key: p.grad for key, p in module.named_parameters()}
    return [key for key, grad in grads.items() if not (grad is None or grad.isfinite().all())]


def _not_implemented(error: Exception) -> bool:
    return "not implemented for" in str(error)


def _under_autocast(subject: Subject, device: str) -> Iterator[Finding]:
    x = subject.maps().to(device)
    with torch.no_grad():
        wanted = subject.build().to(device).eval()(x)
        with torch.autocast(device, torch.bfloat16):
            found = subject.build().to(device).eval()(x)
    error = relative_error(found, wanted)
    # effect of rounding the input to bf16
    moved = relative_error(subject.build().to(device).eval()(x.bfloat16().float()), wanted)
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
    yield from _trained_under_autocast(subject, x)


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
