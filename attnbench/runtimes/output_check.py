"""Numerical check of a runtime's output against the model in eager mode."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnbench.runtimes.runtime import EQUAL_PRECISIONS, BuiltModel, RuntimeSettings
from attnbench.runtimes.torch_export import eval_copy, failure

if TYPE_CHECKING:
    from torch import Tensor, nn

_TOLERANCE = 1e-4
"""Largest difference from eager on the CPU that counts as equal.

Runtimes fold batch norm into convolutions, use Winograd and sum in another order; over fifty layers
the error is 1e-6 to 1e-5.
"""
_TOLERANCE_DEVICE = 2e-4
"""The same for fp32 on another device, whose kernels have nothing in common with the reference."""
_TOLERANCE_TF32 = 5e-3
"""The same in TF32: 6e-4 to 8e-4 in MobileNets, emulated by operands of 10 bits of mantissa."""
_ROUNDING_TF32 = 256.0
"""Error in TF32 relative to eager's own in fp32: 90 to 900 in MobileNets, emulated."""
_CONDITION = 10.0
"""Tolerated error of a runtime, as a multiple of eager's own error against double precision.

Eager's rounding error is a single sample: that of ONNX Runtime is 5 times as large where 17 blocks
of selective kernels propagate it. The error of a wrong operator is a thousand times as large.
"""


@dataclass(frozen=True)
class Agreement:
    """The agreement of a runtime's outputs with those of fp32 eager."""

    max_error: float
    """Largest difference, relative to the largest value of eager's output; infinite if one of the
    two has a NaN or an infinity that the other has not."""
    tolerance: float
    """Tolerance of the runtime, or a larger one where eager's own rounding error exceeds it: a
    network that amplifies rounding errors does so in every runtime."""
    sqnr_db: float | None
    """Signal-to-noise ratio in decibels over all inputs; None without noise or without a signal."""
    top1: float | None
    """Share of images with the same top-1 class; None if the output is not (B, classes)."""
    equal: bool
    """Equality of the outputs: finite where eager's are, and within the tolerance. Expected in
    fp32 and TF32; other precisions are described by ``sqnr_db`` and ``top1`` instead."""

    def problem(self, title: str, settings: RuntimeSettings) -> str | None:
        """Return why the output of a runtime is refused, or None.

        Args:
            title: title of the runtime.
            settings: the settings of the build.
        """
        if self.equal or settings.precision not in EQUAL_PRECISIONS:
            return None
        text = (
            f"{title}'s output differs from eager's by {self.max_error:.2g} of its scale; the "
            f"tolerance is {self.tolerance:.2g}"
        )
        if settings.device_kind == "cuda" and self.max_error <= _TOLERANCE_TF32:
            text += ". This is the error of TF32, which fp32 excludes: request the precision tf32"
        return text


def agreement(
    built: BuiltModel,
    model: nn.Module,
    inputs: Tensor | Sequence[Tensor],
    settings: RuntimeSettings,
) -> Agreement:
    """Compare a built model with the fp32 eager one on the CPU.

    Args:
        built: the model as built by a runtime.
        model: the model.
        inputs: inputs of the example's shape, as returned by
            :func:`attnbench.runtimes.sample_inputs.examples`.
        settings: the settings of the build.

    Raises:
        RuntimeFailure: one of the two models cannot run on these inputs.
    """
    import torch

    given = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs)
    reference = eval_copy(model).float().cpu()
    try:
        with torch.inference_mode():
            # copies: a module may change its input in place
            wanted = torch.cat([reference(batch.clone()) for batch in given]).double()
        found = torch.cat([built.output(batch.clone()) for batch in given]).double()
    except Exception as cause:
        raise failure(f"output in {settings.precision}", cause) from cause
    tolerance = _tolerance(settings) if built.tolerance is None else built.tolerance
    if found.shape != wanted.shape:
        return Agreement(math.inf, tolerance, None, None, equal=False)
    error = _max_error(found, wanted)
    if settings.precision in EQUAL_PRECISIONS and tolerance < error < math.inf:
        scale = _ROUNDING_TF32 if settings.precision == "tf32" else 1.0
        tolerance = max(tolerance, _CONDITION * scale * _rounding(reference, given, wanted))
    sqnr_db, top1 = _sqnr(found, wanted), _top1(found, wanted)
    return Agreement(error, tolerance, sqnr_db, top1, equal=error <= tolerance)


def _tolerance(settings: RuntimeSettings) -> float:
    """Return the usual tolerance of a precision on a device, relative to the largest value."""
    if settings.precision == "tf32":
        return _TOLERANCE_TF32
    is_other = settings.precision == "fp32" and settings.device != "cpu"
    return _TOLERANCE_DEVICE if is_other else _TOLERANCE


def _rounding(reference: nn.Module, given: Sequence[Tensor], wanted: Tensor) -> float:
    """Return the error of fp32 eager against double precision; 0 if that cannot run."""
    import torch

    try:
        exact = eval_copy(reference).double()
        with torch.inference_mode():
            truth = torch.cat([exact(batch.double()) for batch in given])
    except Exception:  # a module with a dtype of its own
        return 0.0
    error = _max_error(wanted, truth)
    return error if math.isfinite(error) else 0.0


def _max_error(found: Tensor, wanted: Tensor) -> float:
    import torch

    finite = wanted.isfinite()
    # a NaN or an infinity of the model itself must appear in both outputs
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
    # the argmax of NaNs is a class too: it must not count
    return float((same & found.isfinite().all(1)).double().mean().item())
