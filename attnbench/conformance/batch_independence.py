"""Batch checks: images are independent of each other, and a batch of one can be trained."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from attnbench.conformance.findings import Finding, failure
from attnbench.conformance.module_under_test import Subject, relative_error, run
from attnbench.utils.text import describe

_EXACT = 1e-9
"""Tolerance of double precision, for any order of summation."""
_FROZEN = (_BatchNorm, _DropoutNd)


def batch_independence(subject: Subject) -> Iterator[Finding]:
    """Compare each image of a batch with the same image alone, in eval and in training.

    In training, batch norms are frozen and dropout is off: only these layers may depend on the
    batch or on random numbers.
    """
    x = subject.maps(5, dtype=torch.float64)
    for mode in ("eval", "training"):
        together = _fresh_output(subject, mode, x)
        alone = torch.cat([_fresh_output(subject, mode, image[None]) for image in x])
        error = relative_error(together, alone)
        if error > _EXACT:
            yield failure(
                f"in {mode} an image's output depends on the others of its batch: "
                f"{_difference(together, alone, error)}",
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
    """Return the output of a fresh instance, so that state of an earlier call has no effect.

    For example, a spectral norm takes a step with each call in training.
    """
    module = subject.build().double().train(mode == "training")
    for layer in module.modules():
        if isinstance(layer, _FROZEN):
            layer.eval()
    return run(module, x.clone())


def _difference(together: Tensor, alone: Tensor, error: float) -> str:
    if together.shape != alone.shape:
        return f"{tuple(together.shape)} together, {tuple(alone.shape)} one by one"
    return f"they differ by {error:.1e} of the largest value"
