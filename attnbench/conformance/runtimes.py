"""Runtime checks: the exported file gives the same output on the runtime's fast path."""

from __future__ import annotations

from collections.abc import Iterator

from attnbench.conformance.findings import Finding
from attnbench.conformance.module_under_test import Subject
from attnbench.conformance.runtime_export import in_runtime

_SIMPLER = (
    "Write the step that it names in operators that it has (convolutions, matmul, softmax, means)."
)


def onnx(subject: Subject) -> Iterator[Finding]:
    """Export to ONNX and run in ONNX Runtime."""
    yield from in_runtime(subject, "onnxruntime", _SIMPLER)


def openvino(subject: Subject) -> Iterator[Finding]:
    """Convert to OpenVINO and run."""
    yield from in_runtime(subject, "openvino", _SIMPLER)


def executorch(subject: Subject) -> Iterator[Finding]:
    """Lower to ExecuTorch with XNNPACK and run."""
    yield from in_runtime(subject, "executorch", _SIMPLER)
