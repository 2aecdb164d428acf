"""Whether what a runtime computes is what the model says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnbench.runtimes.runtime import Built, RuntimeSettings
from attnbench.runtimes.torch_export import evaluated, failure

if TYPE_CHECKING:
    from torch import Tensor, nn


_CONDITION = 10.0
"""How many times eager's own distance from double precision another runtime may be off.

Ours is one draw of what rounding does: ONNX Runtime is off 5 times as far where the selective
kernels of 17 blocks pass on what each rounds. A wrong operator is off a thousand times as far.
"""


@dataclass(frozen=True)
class Agreement:
    """A runtime's outputs beside fp32 eager's."""

    max_error: float
    """Largest difference, relative to the largest value of eager's output; infinite where one of
    the two has a NaN or an infinity and the other has not the same."""
    tolerance: float
    """The runtime's own, or more where eager itself is further from double precision: a network
    that magnifies rounding does so in every runtime."""
    sqnr_db: float | None
    """Signal to noise in decibels over all inputs; None without any noise, or without a signal."""
    top1: float | None
    """Share of images with the same first class; None where the output is not (B, classes)."""
    equal: bool
    """Whether every output is finite where eager's is, and within the tolerance. Expected of fp32;
    reduced precision is described by ``sqnr_db`` and ``top1`` instead."""


def agreement(
    built: Built, model: nn.Module, inputs: Tensor | Sequence[Tensor], settings: RuntimeSettings
) -> Agreement:
    """Compare a built model with the fp32 eager one on the CPU.

    Args:
        built: what a runtime made of the model.
        model: the model.
        inputs: of the example's shape, as :func:`attnbench.runtimes.sample_inputs.examples` gives
            them.
        settings: as it was built.

    Raises:
        RuntimeFailure: one of the two cannot run on these inputs.
    """
    import torch

    given = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs)
    reference = evaluated(model).float().cpu()
    try:
        with torch.inference_mode():
            # copies: a module may work in place on what it is given
            wanted = torch.cat([reference(one.clone()) for one in given]).double()
        found = torch.cat([built.output(one.clone()) for one in given]).double()
    except Exception as error:
        raise failure(f"output in {settings.precision}", error) from error
    if found.shape != wanted.shape:
        return Agreement(math.inf, built.tolerance, None, None, equal=False)
    error_ = _max_error(found, wanted)
    tolerance = built.tolerance
    if settings.precision == "fp32" and tolerance < error_ < math.inf:
        tolerance = max(tolerance, _CONDITION * _rounding(reference, given, wanted))
    return Agreement(
        max_error=error_,
        tolerance=tolerance,
        sqnr_db=_sqnr(found, wanted),
        top1=_top1(found, wanted),
        equal=error_ <= tolerance,
    )


def _rounding(reference: nn.Module, given: Sequence[Tensor], wanted: Tensor) -> float:
    """How far fp32 eager is from double precision; 0 where it cannot run in that."""
    import torch

    try:
        exact = evaluated(reference).double()
        with torch.inference_mode():
            truth = torch.cat([exact(one.double()) for one in given])
    except Exception:  # a module with a dtype of its own
        return 0.0
    error = _max_error(wanted, truth)
    return error if math.isfinite(error) else 0.0


def _max_error(found: Tensor, wanted: Tensor) -> float:
    import torch

    finite = wanted.isfinite()
    # a NaN or an infinity of the model itself must be there, the same one
    if not torch.equal(found[~finite].nan_to_num(7.0), wanted[~finite].nan_to_num(7.0)):
        return math.inf
    if not found[finite].isfinite().all():
        return math.inf
    if not finite.any():
        return 0.0
    error = (found[finite] - wanted[finite]).abs().max().item()
    scale = wanted[finite].abs().max().item()
    return error / scale if scale else (math.inf if error else 0.0)


def _sqnr(found: Tensor, wanted: Tensor) -> float | None:
    signal = wanted.square().sum().item()
    noise = (found - wanted).square().sum().item()
    if not (math.isfinite(signal) and math.isfinite(noise) and signal and noise):
        return None
    return 10 * math.log10(signal / noise)


def _top1(found: Tensor, wanted: Tensor) -> float | None:
    if wanted.dim() != 2 or wanted.shape[1] < 2:
        return None
    same = found.argmax(1) == wanted.argmax(1)
    # argmax of NaN is a class too: it must not count
    return float((same & found.isfinite().all(1)).double().mean().item())
