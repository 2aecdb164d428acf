"""Common code of the deep checks: a module is built in a runtime and compared with eager."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from attnbench.conformance.findings import Finding, broken, fine, note, skipped
from attnbench.conformance.module_under_test import Size, Subject
from attnbench.models.fuse import fuse, has_fused_form
from attnbench.runtimes.output_check import Agreement, agreement
from attnbench.runtimes.registry import runtime
from attnbench.runtimes.runtime import BuiltModel, Runtime, RuntimeFailure, RuntimeSettings
from attnbench.runtimes.sample_inputs import examples
from attnbench.runtimes.torch_export import capture_output

_CHANNELS = 64
_SIZE: Size = (14, 14)
"""Size of a middle layer, so that the runtime selects kernels as in a network."""
_INPUTS = 4


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
        """Return ``the plain form at 1x64x14x14``."""
        kind = "plain form" if self.name == "plain" else self.name
        return f"the {kind} at {'x'.join(map(str, self.example.shape))}"


@dataclass(frozen=True)
class ExportOutcome:
    """Result of a form in a runtime: the agreement of the outputs, or the reason of failure."""

    form: ExportForm
    built: BuiltModel | None = None
    agreement: Agreement | None = None
    failure: str = ""


def forms(subject: Subject) -> list[ExportForm]:
    """Return the plain form and, if there is one, the inference form, both in eval."""
    channels, size = _place(subject)
    example = subject.maps(1, channels, size)

    def built() -> nn.Module:
        return subject.build(channels, size).eval()

    found = [ExportForm("plain", built(), built(), example)]
    if has_fused_form(built()):
        found.append(ExportForm("inference form", fuse(built()), built(), example))
    return found


def lacking(name: str) -> Finding | None:
    """Return a finding with instructions if a runtime cannot be used here, else None."""
    missing = runtime(name).missing()
    if missing is None:
        return None
    what, _, way_out = missing.partition(": ")
    return skipped(what, f"{way_out[:1].upper()}{way_out[1:]}.")


def outcome(name: str, form: ExportForm, precision: str = "fp32") -> ExportOutcome:
    """Build a form in a runtime, in a temporary folder, and compare it with eager."""
    settings = RuntimeSettings(precision=precision)
    with _undisturbed() as folder:
        try:
            built = runtime(name).build(form.model, form.example, settings, folder)
            compared = agreement(built, form.plain, examples(form.example, _INPUTS), settings)
        except RuntimeFailure as error:
            return ExportOutcome(form, failure=str(error))
    return ExportOutcome(form, built, compared)


def in_runtime(subject: Subject, name: str, remedy: str) -> Iterator[Finding]:
    """Report for each form build failures, differences from eager, and operator fallbacks.

    Args:
        subject: module under examination.
        name: name of the runtime.
        remedy: recommended change if it cannot be built.
    """
    absent = lacking(name)
    if absent:
        yield absent
        return
    errors: dict[str, float] = {}
    for form in forms(subject):
        found = outcome(name, form)
        if found.agreement is not None:
            errors[form.name] = found.agreement.max_error
        yield from _judged(found, runtime(name), remedy)
    yield fine(errors=errors)


def _judged(found: ExportOutcome, where: Runtime, remedy: str) -> Iterator[Finding]:
    if found.built is None or found.agreement is None:
        yield broken(f"{found.form} cannot be built: {found.failure}", remedy)
        return
    if not found.agreement.equal:
        yield broken(
            f"the output of {found.form} in {where.title} is off by "
            f"{found.agreement.max_error:.1e} of eager's largest value, "
            f"{found.agreement.tolerance:.0e} is allowed",
            "Find the operator that differs by exporting halves of forward; write it in simpler "
            "ones.",
            error=found.agreement.max_error,
        )
    yield from left_out(found)


def left_out(found: ExportOutcome) -> Iterator[Finding]:
    """Note the operators that left the fast path, each with its count."""
    fallbacks = found.built.fallbacks if found.built else {}
    if fallbacks:
        operators = ", ".join(
            f"{what} ({count} time{'s' * (count != 1)})" for what, count in fallbacks.items()
        )
        yield note(
            f"{found.form}: {operators}",
            "Write these steps in operators that the runtime has, in the plain form or in fuse().",
            fallbacks=dict(fallbacks),
        )


def _place(subject: Subject) -> tuple[int, Size]:
    """Return channels and size of a middle layer, or those of the subject if these fail."""
    if subject.refusal(_CHANNELS, _SIZE) is None:
        try:
            with torch.no_grad():
                subject.build(_CHANNELS, _SIZE).eval()(subject.maps(1, _CHANNELS, _SIZE))
        except Exception:  # the check `widths` reports it
            return subject.channels, subject.size
        return _CHANNELS, _SIZE
    return subject.channels, subject.size


@contextmanager
def _undisturbed() -> Iterator[Path]:
    """Yield a temporary folder; on exit, delete it and restore the number of threads."""
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory(prefix="attnbench-") as folder, capture_output():
        try:
            yield Path(folder)
        finally:
            torch.set_num_threads(threads)
