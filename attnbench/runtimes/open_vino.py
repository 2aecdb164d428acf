"""OpenVINO on the CPU: converted from torch.export; int8 from the quantised ONNX model."""

from __future__ import annotations

import time
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from attnbench.errors import RequestError
from attnbench.runtimes.artifact_cache import ExportNotes, artefact, key_of
from attnbench.runtimes.capture_output import silenced
from attnbench.runtimes.onnx_runtime import write_onnx
from attnbench.runtimes.runtime import BuiltModel, RuntimeBase, RuntimeSettings, check
from attnbench.runtimes.torch_export import exported, failure

if TYPE_CHECKING:
    from torch import Tensor, nn

_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
_COMPUTING = {"Convolution", "FullyConnected", "MatMul", "GroupConvolution"}
_WANTED = {"fp32": {"f32"}, "bf16": {"bf16"}, "int8": {"i8", "u8"}}


class OpenVino(RuntimeBase):
    """OpenVINO, CPU, latency hint, one stream."""

    name: ClassVar[str] = "openvino"
    title: ClassVar[str] = "OpenVINO"
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "bf16", "int8")
    packages: ClassVar[tuple[str, ...]] = ("openvino", "torch")
    extra: ClassVar[str | None] = "openvino"
    suffix: ClassVar[str | None] = ".xml"

    def build(
        self, model: nn.Module, example: Tensor, settings: RuntimeSettings, folder: Path
    ) -> BuiltModel:
        """Convert the model to ``folder``, or reuse the artefact there; see :class:`Runtime`."""
        check(self, settings)
        _check_bf16(settings)

        def make(path: Path) -> ExportNotes:
            with silenced():
                _write(model, example, settings.precision, path)
            return ExportNotes({})

        key = key_of(model, example)
        path, kept = artefact(self, settings, folder, key, make)
        started = time.perf_counter()
        compiled = _compiled(path, settings)
        request, fixed = compiled.create_infer_request(), _tensor(example)
        request.set_input_tensor(fixed)
        loaded = time.perf_counter() - started
        other = compiled.create_infer_request()  # the timed request keeps the example

        def output(x: Tensor) -> Tensor:
            import torch

            result = other.infer([_tensor(x)])[0]
            return torch.from_numpy(result.copy()).float()

        fallbacks, notes = _executed(compiled, settings.precision)
        return BuiltModel(
            run=lambda: request.infer(share_outputs=True),
            output=output,
            export_s=kept.export_s,
            load_s=loaded,
            fallbacks=fallbacks,
            notes=(*notes, *_origin(settings.precision)),
            artefact=path,
        )


def _write(model: nn.Module, example: Tensor, precision: str, path: Path) -> None:
    import openvino as ov

    source: Any
    if precision == "int8":
        source = path.with_suffix(".onnx")
        write_onnx(model, example, precision, source)
    else:
        source = exported(model, example)
    try:
        converted = ov.convert_model(source)
        converted.reshape(list(example.shape))
        ov.save_model(converted, path, compress_to_fp16=False)
    except Exception as error:
        raise failure("OpenVINO", error) from error
    if precision == "int8":
        source.unlink()


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


def _compiled(path: Path, settings: RuntimeSettings) -> Any:
    properties = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": settings.threads,
        "INFERENCE_PRECISION_HINT": _HINTS[settings.precision],
        # the measurement pins the process; OpenVINO would pin to cores of its own choice
        "ENABLE_CPU_PINNING": False,
    }
    try:
        with silenced():
            return _core().compile_model(str(path), "CPU", properties)
    except Exception as error:
        raise failure("OpenVINO", error) from error


def _executed(compiled: Any, precision: str) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the layers that run as reference code, or that compute in another precision."""
    left, layers = Counter[str](), 0
    for node in compiled.get_runtime_model().get_ops():
        info = {key: str(value.value) for key, value in node.get_rt_info().items()}
        kind, how = info.get("layerType", "?"), info.get("primitiveType", "")
        if kind in ("Const", "Constant", "Input", "Output", "Parameter", "Result"):
            continue
        layers += 1
        if how.startswith("ref"):
            left[f"{kind} by reference code"] += 1
        elif kind in _COMPUTING and info.get("runtimePrecision") not in _WANTED[precision]:
            left[f"{kind} in {info.get('runtimePrecision')}"] += 1
    return dict(left), (f"{layers} layers executed",)


def _origin(precision: str) -> tuple[str, ...]:
    return ("quantised by ONNX Runtime (QDQ)",) if precision == "int8" else ()


def _tensor(x: Tensor) -> Any:
    import openvino as ov

    return ov.Tensor(x.contiguous().numpy(), shared_memory=True)


def _check_bf16(settings: RuntimeSettings) -> None:
    if settings.precision != "bf16":
        return
    if "BF16" not in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise RequestError(
            "this processor has no bf16 arithmetic (avx512_bf16 or amx_bf16), and OpenVINO would "
            "run bf16 as fp32; leave out --precision bf16"
        )
