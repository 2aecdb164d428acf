"""Int8 check: static post-training quantization in two runtimes."""

from __future__ import annotations

import math
from collections.abc import Iterator

from attnbench.conformance.findings import Finding, broken, fine, note
from attnbench.conformance.module_under_test import Subject
from attnbench.conformance.runtime_export import ExportOutcome, forms, lacking, outcome
from attnbench.runtimes.registry import runtime

_RUNTIMES = ("onnxruntime", "executorch")
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


def int8(subject: Subject) -> Iterator[Finding]:
    """Quantize each form and compare with fp32 eager by the signal-to-noise ratio in dB."""
    found: dict[str, float | None] = {}
    for name in _RUNTIMES:
        absent = lacking(name)
        if absent:
            yield absent
            continue
        for form in forms(subject):
            result = outcome(name, form, "int8")
            if result.agreement is not None:
                found[f"{name}, {form.name}"] = result.agreement.sqnr_db
            yield from _judged(result, name)
    yield fine(sqnr_db=found)


def _judged(result: ExportOutcome, name: str) -> Iterator[Finding]:
    where = runtime(name).title
    if result.agreement is None:
        refused = broken if name == _DEMANDED else note
        yield refused(
            f"{result.form} cannot be quantised by {where}: {result.failure}",
            "Write the step that it names in operators that it has.",
        )
        return
    ratio = result.agreement.sqnr_db
    if not math.isfinite(result.agreement.max_error):
        yield broken(
            f"{result.form}, quantised by {where}, is not finite or of another shape",
            "Keep the values between layers in a range that 8 bits can tell apart.",
        )
    elif ratio is not None and ratio < _GOOD_DB:
        severity = broken if ratio < _LEAST_DB else note
        yield severity(
            f"{result.form}, quantised by {where}, has {ratio:.1f} dB of signal over noise, "
            f"{_GOOD_DB:g} are good and {_LEAST_DB:g} the least",
            "Avoid steps whose range is set by few values (exp, products of sums, division by "
            "small numbers), or leave them in floating point.",
            sqnr_db=ratio,
        )
