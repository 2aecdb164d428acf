"""Deep checks: a module that a runtime compiles, exports or quantizes gives the output of eager."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attnbench.conformance.findings import Finding, failure, note, skip, success
from attnbench.conformance.graph_capture import own_dynamo
from attnbench.conformance.module_under_test import Subject, join_shape
from attnbench.models.fuse import fuse, has_fused_form
from attnbench.runtimes.output_check import Agreement, agreement
from attnbench.runtimes.registry import runtime
from attnbench.runtimes.runtime import BuiltModel, RuntimeFailure, RuntimeSettings
from attnbench.runtimes.sample_inputs import examples
from attnbench.runtimes.torch_export import capture_output
from attnbench.utils.scratch import scratch_folder

_SIMPLER = (
    "Write the step that it names in operators that it has (convolutions, matmul, softmax, means)."
)
_INT8_RUNTIMES = ("onnxruntime", "executorch")
_DEMANDED = "onnxruntime"
"""Runtime that must quantize the module; the other has few integer kernels, so it is noted."""
_GOOD_DB = 20.0
_LEAST_DB = 5.0
"""Minimum signal-to-noise ratio.

The modules that come with attnbench have 24.9 dB (non-local) to 39.1 dB (ULSAM), with input and
output quantized too. Below 20 dB an inner operation costs more than those two; below 5 dB the noise
is more than half as large as the signal. The ratio has little meaning for a module that hardly
changes its map: for ULSAM, the identity without any attention would have 44 dB.
"""


@dataclass(frozen=True)
class ExportForm:
    """Form in which a module is deployed."""

    name: str
    """``plain`` or ``inference form``."""
    model: nn.Module
    plain: nn.Module
    """Reference for its output."""
    example: Tensor
    """Example input (1, C, H, W)."""

    def __str__(self) -> str:
        kind = "plain form" if self.name == "plain" else self.name
        return f"the {kind} at {join_shape(self.example.shape)}"


@dataclass(frozen=True)
class ExportOutcome:
    """Result of a form in a runtime: the agreement of the outputs, or the reason of failure."""

    form: ExportForm
    built: BuiltModel | None = None
    agreement: Agreement | None = None
    failure: str = ""


def onnx(subject: Subject) -> Iterator[Finding]:
    """Export to ONNX and run in ONNX Runtime."""
    return _compare(subject, "onnxruntime", _SIMPLER)


def openvino(subject: Subject) -> Iterator[Finding]:
    """Convert to OpenVINO and run."""
    return _compare(subject, "openvino", _SIMPLER)


def executorch(subject: Subject) -> Iterator[Finding]:
    """Lower to ExecuTorch with XNNPACK and run."""
    return _compare(subject, "executorch", _SIMPLER)


def inductor(subject: Subject) -> Iterator[Finding]:
    """Compile each form and compare outputs; reset the compiler cache, but keep its limits."""
    config = torch._dynamo.config
    limits = ("recompile_limit", "accumulated_recompile_limit")
    with config.patch({name: getattr(config, name) for name in limits}), own_dynamo():
        yield from _compare(
            subject,
            "compile",
            "Write the step that it names in plain tensor operations; `graph` tells of breaks.",
        )


def int8(subject: Subject) -> Iterator[Finding]:
    """Quantize each form and compare with fp32 eager by the signal-to-noise ratio in dB."""
    ratios: dict[str, float | None] = {}
    for name in _INT8_RUNTIMES:
        missing = find_missing(name)
        if missing:
            yield missing
            continue
        for form in _forms(subject):
            result = build_form(name, form, "int8")
            if result.agreement is not None:
                ratios[f"{name}, {form.name}"] = result.agreement.sqnr_db
            yield from _judge_int8(result, name)
    yield success(sqnr_db=ratios)


def find_missing(name: str) -> Finding | None:
    """Return a finding with instructions if a runtime cannot be used here, else None."""
    missing = runtime(name).missing()
    if missing is None:
        return None
    what, _, way_out = missing.partition(": ")
    return skip(what, f"{way_out[:1].upper()}{way_out[1:]}.")


def _forms(subject: Subject) -> list[ExportForm]:
    """Return the plain form and, if there is one, the inference form, both in eval."""
    channels, size = subject.middle_place  # so that a runtime selects kernels as in a network
    example = subject.maps(1, channels, size)

    def build() -> nn.Module:
        return subject.build(channels, size).eval()

    forms = [ExportForm("plain", build(), build(), example)]
    if has_fused_form(build()):
        forms.append(ExportForm("inference form", fuse(build()), build(), example))
    return forms


def build_form(name: str, form: ExportForm, precision: str = "fp32") -> ExportOutcome:
    """Build a form in a runtime, in a temporary folder, and compare it with eager."""
    settings, threads = RuntimeSettings(precision=precision), torch.get_num_threads()
    with scratch_folder() as folder, capture_output():
        try:
            built = runtime(name).build(form.model, form.example, settings, folder)
            compared = agreement(built, form.plain, examples(form.example, 4), settings)
        except RuntimeFailure as error:
            return ExportOutcome(form, failure=str(error))
        finally:
            torch.set_num_threads(threads)
    return ExportOutcome(form, built, compared)


def _compare(subject: Subject, name: str, remedy: str) -> Iterator[Finding]:
    """Compare each form with eager; the remedy is that of a form that cannot be built."""
    missing = find_missing(name)
    if missing:
        yield missing
        return
    errors: dict[str, float] = {}
    for form in _forms(subject):
        result = build_form(name, form)
        if result.built is None or result.agreement is None:
            yield failure(f"{form} cannot be built: {result.failure}", remedy)
            continue
        found = result.agreement
        errors[form.name] = found.max_error
        if not found.equal:
            yield failure(
                f"the output of {form} in {runtime(name).title} is off by {found.max_error:.1e} of "
                f"eager's largest value, {found.tolerance:.0e} is allowed",
                "Find the operator that differs by exporting halves of forward; write it in "
                "simpler ones.",
                error=found.max_error,
            )
        fallbacks = result.built.fallbacks
        if fallbacks:
            counts = [f"{op} ({n} time{'s' * (n != 1)})" for op, n in fallbacks.items()]
            yield note(
                f"{form}: {', '.join(counts)}",
                "Write these steps in operators that the runtime has, in the plain form or in "
                "fuse().",
                fallbacks=dict(fallbacks),
            )
    yield success(errors=errors)


def _judge_int8(result: ExportOutcome, name: str) -> Iterator[Finding]:
    where = runtime(name).title
    if result.agreement is None:
        refused = failure if name == _DEMANDED else note
        yield refused(
            f"{result.form} cannot be quantised by {where}: {result.failure}",
            "Write the step that it names in operators that it has.",
        )
        return
    ratio = result.agreement.sqnr_db
    if not math.isfinite(result.agreement.max_error):
        yield failure(
            f"{result.form}, quantised by {where}, is not finite or of another shape",
            "Keep the values between layers in a range that 8 bits can tell apart.",
        )
    elif ratio is not None and ratio < _GOOD_DB:
        severity = failure if ratio < _LEAST_DB else note
        yield severity(
            f"{result.form}, quantised by {where}, has {ratio:.1f} dB of signal over noise, "
            f"{_GOOD_DB:g} are good and {_LEAST_DB:g} the least",
            "Avoid steps whose range is set by few values (exp, products of sums, division by "
            "small numbers), or leave them in floating point.",
            sqnr_db=ratio,
        )
