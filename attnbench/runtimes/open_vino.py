"""OpenVINO on the CPU: converted from torch.export; int8 from the quantized ONNX model."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from attnbench.errors import RequestError
from attnbench.runtimes.exporting_runtime import ExportingRuntime, ExportNotes
from attnbench.runtimes.onnx_runtime import write_onnx
from attnbench.runtimes.runtime import RuntimeSettings
from attnbench.runtimes.torch_export import capture_output, export_program, failure

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnbench.runtimes.exporting_runtime import Bound

_WITH_PRODUCTS = {"Convolution", "FullyConnected", "MatMul", "GroupConvolution"}
_CAPABILITIES = ("CPU", "OPTIMIZATION_CAPABILITIES")
_EXPECTED = {"fp32": {"f32"}, "bf16": {"bf16"}, "int8": {"i8", "u8"}}
_NO_LAYERS = {"Const", "Constant", "Input", "Output", "Parameter", "Result"}


class OpenVino(ExportingRuntime):
    """OpenVINO, CPU, latency hint, one stream."""

    name: ClassVar[str] = "openvino"
    title: ClassVar[str] = "OpenVINO"
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "bf16", "int8")
    packages: ClassVar[tuple[str, ...]] = ("openvino", "torch")
    extra: ClassVar[str | None] = "openvino"
    suffix: ClassVar[str] = ".xml"

    def _check(self, settings: RuntimeSettings) -> None:
        super()._check(settings)
        if settings.precision == "bf16" and "BF16" not in _core().get_property(*_CAPABILITIES):
            raise RequestError(
                "--precision bf16 is not available: this processor has no bf16 arithmetic "
                "(avx512_bf16 or amx_bf16), and OpenVINO would run bf16 as fp32. "
                "Leave out --precision bf16."
            )

    def _write(
        self, model: nn.Module, example: Tensor, settings: RuntimeSettings, path: Path
    ) -> ExportNotes:
        import openvino as ov

        quantized = path.with_suffix(".onnx")
        if settings.precision == "int8":
            write_onnx(model, example, "int8", quantized)
        source = quantized if settings.precision == "int8" else export_program(model, example)
        try:
            converted = ov.convert_model(source)
            converted.reshape(list(example.shape))
            ov.save_model(converted, path, compress_to_fp16=False)
        except Exception as error:
            raise failure("OpenVINO", error) from error
        quantized.unlink(missing_ok=True)
        return ExportNotes()

    def _load(self, path: Path, example: Tensor, settings: RuntimeSettings) -> tuple[Any, Any]:
        """Return the compiled model, and the timed request, which keeps the example."""
        properties = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": settings.threads,
            "INFERENCE_PRECISION_HINT": "bf16" if settings.precision == "bf16" else "f32",
            # the measurement pins the process; OpenVINO would pin to cores of its own choice
            "ENABLE_CPU_PINNING": False,
        }
        try:
            with capture_output():
                compiled = _core().compile_model(str(path), "CPU", properties)
        except Exception as error:
            raise failure("OpenVINO", error) from error
        request = compiled.create_infer_request()
        request.set_input_tensor(_tensor(example))
        return compiled, request

    def _bind(self, session: tuple[Any, Any], example: Tensor) -> Bound:
        import torch

        compiled, request = session
        other = compiled.create_infer_request()

        def output(x: Tensor) -> Tensor:
            return torch.from_numpy(other.infer([_tensor(x)])[0].copy()).float()

        return lambda: request.infer(share_outputs=True), output

    def _inspect(self, session: tuple[Any, Any], settings: RuntimeSettings) -> ExportNotes:
        """Return the layers that run as reference code, or that compute in another precision."""
        left, layers = Counter[str](), 0
        for node in session[0].get_runtime_model().get_ops():
            info = {key: str(value.value) for key, value in node.get_rt_info().items()}
            kind, precision = info.get("layerType", "?"), info.get("runtimePrecision")
            if kind in _NO_LAYERS:
                continue
            layers += 1
            if info.get("primitiveType", "").startswith("ref"):
                left[f"{kind} by reference code"] += 1
            elif kind in _WITH_PRODUCTS and precision not in _EXPECTED[settings.precision]:
                left[f"{kind} in {precision}"] += 1
        origin = ("quantised by ONNX Runtime (QDQ)",) if settings.precision == "int8" else ()
        return ExportNotes(dict(left), (f"{layers} layers executed", *origin))


@cache
def _core() -> Any:
    """Return OpenVINO's core, one for the whole process.

    The CPU plugin of a core sets a signal stack for the thread and, when it is destroyed, restores
    the previous one. If two cores are destroyed in the order of their creation, the second restores
    a stack that the first has unmapped, and the next signal with a handler (Ctrl-C, the end of a
    DataLoader's worker) causes a segmentation fault.
    """
    import openvino as ov

    return ov.Core()


def _tensor(x: Tensor) -> Any:
    import openvino as ov

    return ov.Tensor(x.contiguous().numpy(), shared_memory=True)
