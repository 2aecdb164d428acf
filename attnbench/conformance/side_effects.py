"""Purity checks: the input stays, eval keeps no state, and images are independent of each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from attnbench.conformance.copies import held_tensors
from attnbench.conformance.findings import Finding, failure, join_names
from attnbench.conformance.module_under_test import (
    SIZES,
    Subject,
    equal_values,
    relative_error,
    run,
)
from attnbench.utils.text import describe

_EXACT = {torch.float64: 1e-12, torch.float32: 1e-6}
"""Tolerance for the same operators in the same order."""
_ANY_ORDER = {torch.float64: 1e-9, torch.float32: 1e-4}
"""Tolerance for any order of summation."""
_LEAVE = "Write y = x * gate, not x *= gate or relu_(x); clone the input first if you must."


def input_kept(subject: Subject) -> Iterator[Finding]:
    """Compare the input before and after, in eval, in training and as a leaf."""
    for training in (False, True):
        module = subject.build().train(training)
        x = subject.maps()
        before, version, form = x.clone(), x._version, _form(x)
        run(module, x)
        mode = "training" if training else "eval"
        if _form(x) != form:
            yield failure(f"in {mode} forward turns its input from {form} into {_form(x)}", _LEAVE)
        elif not torch.equal(x, before):
            error = relative_error(x, before)
            text = f"in {mode} forward changes its input by {error:.1e}"
            yield failure(text, _LEAVE, error=error)
        elif x._version != version:
            yield failure(f"in {mode} forward writes to its input and puts it back", _LEAVE)
    # an input that is a leaf, as in saliency maps and adversarial attacks
    module, leaf = subject.build().train(), subject.maps().requires_grad_()
    try:
        module(leaf)
    except Exception as error:
        yield failure(f"in training an input that is a leaf raises {describe(error)}", _LEAVE)
        return
    if leaf.grad is not None or not leaf.requires_grad:
        seen = "has a gradient" if leaf.grad is not None else "needs no gradient any more"
        yield failure(
            f"after forward alone the input {seen}",
            "Run no backward pass within forward, and leave requires_grad of the input as it is.",
        )


def _form(x: Tensor) -> str:
    return f"{tuple(x.shape)} with strides {x.stride()}"


def determinism(subject: Subject) -> Iterator[Finding]:
    """Run the same map again, also after other maps; compare outputs and tensors."""
    module = subject.build().to(subject.exact).eval()
    x = subject.maps(dtype=subject.exact)
    start = _registered(module)
    first = _run(module, x)
    yield from _modes(subject, x)
    yield from _same(first, _run(module, x), "the same map gives another output in eval")
    yield from _report(_changed(module, start), "eval changes")
    before = _values(module)
    _run(module, subject.maps(seed=2, dtype=subject.exact))  # a table for this size may stay
    more = [name for name in held_tensors(module) if name not in before]
    kept = "eval keeps something of the map it saw last in"
    yield from _report([*_changed(module, before), *more], kept)
    _run_others(subject, module)
    yield from _same(
        first, _run(module, x), "after other maps the same map gives another output in eval"
    )
    again = subject.build().to(subject.exact).eval()
    yield from _same(first, _run(again, x), "two instances of one seed give different outputs")


def _modes(subject: Subject, x: Tensor) -> Iterator[Finding]:
    """Report layers whose mode forward changes: the next epoch would train without them."""
    for training in (False, True):
        module = subject.build().to(subject.exact).train(training)
        before = {name: layer.training for name, layer in module.named_modules()}
        module(x.clone())
        names = [name for name, layer in module.named_modules() if layer.training != before[name]]
        if names:
            yield failure(
                f"forward in {'training' if training else 'eval'} changes the mode of "
                f"{join_names([name or 'itself' for name in names])}",
                "Leave train() and eval() to whoever trains it.",
                names=names,
            )


def _run(module: nn.Module, x: Tensor) -> Tensor:
    return run(module, x.clone()).clone()


def _run_others(subject: Subject, module: nn.Module) -> None:
    """Run other maps, batches and sizes; failures are reported by another check."""
    takes_size = subject.attention.signature.takes_feature_size
    sizes = [subject.size] if takes_size else [subject.size, *SIZES[:3], (5, 4)]
    for number, size in enumerate(sizes):
        if subject.refusal(subject.channels, size) is None:
            x = subject.maps(1 + number % 2, size=size, seed=number + 3, dtype=subject.exact)
            with suppress(Exception):
                _run(module, x * 3)


def _same(wanted: Tensor, found: Tensor, what: str) -> Iterator[Finding]:
    error = relative_error(found, wanted)
    if error > _EXACT[wanted.dtype]:
        yield failure(
            f"{what}: they differ by {error:.1e} of the largest value",
            "Draw nothing and keep nothing in eval: give F.dropout training=self.training, and "
            "write buffers in training only.",
            error=error,
        )


def _values(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in held_tensors(module).items()}


def _registered(module: nn.Module) -> dict[str, Tensor]:
    # without plain attributes: one may hold a table that is computed at the first call
    names = {name for name, _ in (*module.named_parameters(), *module.named_buffers())}
    return {name: tensor for name, tensor in _values(module).items() if name in names}


def _changed(module: nn.Module, before: Mapping[str, Tensor]) -> list[str]:
    now = held_tensors(module)
    return [
        name
        for name, old in before.items()
        if name not in now or not equal_values(now[name].detach(), old)
    ]


def _report(names: list[str], what: str) -> Iterator[Finding]:
    if names:
        yield failure(
            f"{what} {join_names(names)}",
            "Update buffers in training only, and keep no map or gate on self: return it from a "
            "method of its own.",
            names=names,
        )


def batch_independence(subject: Subject) -> Iterator[Finding]:
    """Compare each image of a batch with the same image alone, in eval and in training.

    In training, batch norms are frozen and dropout is off: only these layers may depend on the
    batch or on random numbers.
    """
    x = subject.maps(5, dtype=subject.exact)
    for mode in ("eval", "training"):
        together = _fresh_output(subject, mode, x)
        alone = torch.cat([_fresh_output(subject, mode, image[None]) for image in x])
        error = relative_error(together, alone)
        if error > _ANY_ORDER[subject.exact]:
            differ = f"they differ by {error:.1e} of the largest value"
            if together.shape != alone.shape:
                differ = f"{tuple(together.shape)} together, {tuple(alone.shape)} one by one"
            yield failure(
                f"in {mode} an image's output depends on the others of its batch: {differ}",
                "Reduce, normalise and split over channels and positions, never over dimension 0.",
                error=error,
            )


def batch_one(subject: Subject) -> Iterator[Finding]:
    """Train on one image: forward and backward run, and the output is finite."""
    module, x = subject.build().train(), subject.maps(1).requires_grad_()
    try:
        y = module(x)
        y.square().mean().backward()
    except Exception as error:
        yield failure(
            f"training on one image raises {describe(error)}",
            "A batch norm on a pooled vector has one value a channel there and no variance: use "
            "running statistics then, or another norm.",
        )
        return
    if not y.isfinite().all():
        yield failure(
            "training on one image gives values that are not finite",
            "A variance over one value divides by zero: guard it.",
        )


def _fresh_output(subject: Subject, mode: str, x: Tensor) -> Tensor:
    """Return the output of a fresh instance: a spectral norm changes with each call in training."""
    module = subject.build().to(subject.exact).train(mode == "training")
    for layer in module.modules():
        if isinstance(layer, (_BatchNorm, _DropoutNd)):
            layer.eval()
    return run(module, x.clone())
