"""ONNX Runtime: torch.export, then ONNX, for int8 quantized in QDQ form, then a session."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from attnbench.errors import RequestError
from attnbench.runtimes.exporting_runtime import ExportingRuntime, ExportNotes
from attnbench.runtimes.runtime import RuntimeSettings
from attnbench.runtimes.torch_export import export_program, failure

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnbench.runtimes.exporting_runtime import Bound

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxRuntime(ExportingRuntime):
    """ONNX Runtime, all graph optimizations on."""

    name: ClassVar[str] = "onnxruntime"
    title: ClassVar[str] = "ONNX Runtime"
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "int8")
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime", "onnx", "onnxscript", "torch")
    suffix: ClassVar[str] = ".onnx"

    def _check(self, settings: RuntimeSettings) -> None:
        super()._check(settings)
        import onnxruntime as ort

        if _provider(settings) not in ort.get_available_providers():
            raise RequestError(
                f"--device {settings.device} is not available: this ONNX Runtime has no "
                f"{_provider(settings)}. Install onnxruntime-gpu in place of onnxruntime."
            )

    def _write(
        self, model: nn.Module, example: Tensor, settings: RuntimeSettings, path: Path
    ) -> ExportNotes:
        write_onnx(model, example, settings.precision, path)
        return _profile(path, example, settings)

    def _load(self, path: Path, example: Tensor, settings: RuntimeSettings) -> Any:
        return load_session(path, settings)

    def _bind(self, session: Any, example: Tensor) -> Bound:
        import torch

        source, names = session.get_inputs()[0].name, [str(session.get_outputs()[0].name)]
        feed = {source: example.numpy()}

        def output(x: Tensor) -> Tensor:
            return torch.from_numpy(session.run(names, {source: x.numpy()})[0]).float()

        # run() on a fixed feed: as fast as IO binding on the CPU (0.270 and 0.272 of eager on
        # MobileNetV2), and the call that applications use
        return lambda: session.run(names, feed), output


def write_onnx(model: nn.Module, example: Tensor, precision: str, path: Path) -> None:
    """Write the ONNX model for ``fp32`` or ``int8``.

    Raises:
        RuntimeFailure: the model cannot be exported.
    """
    import torch

    program = export_program(model, example)
    try:
        onnx_program: Any = torch.onnx.export(program, dynamo=True, verbose=False)
        onnx_program.save(str(path), external_data=False)
        if precision == "int8":
            from attnbench.runtimes.sample_inputs import calibration_inputs

            quantize(path, calibration_inputs(example))
    except Exception as error:
        raise failure("ONNX export", error) from error


def quantize(path: Path, inputs: list[Tensor]) -> None:
    """Quantize an ONNX file in place, in the QDQ form that every runtime reads.

    Args:
        path: the file; weights are quantized per channel.
        inputs: the inputs on which the range (minimum, maximum) of each activation is observed.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    name = onnx.load(path, load_external_data=False).graph.input[0].name

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        left = iter(inputs)

        # None ends the data, although the base class declares otherwise
        def get_next(self) -> Any:
            batch = next(self.left, None)
            return None if batch is None else {name: batch.numpy()}

    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(path, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        path,
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    prepared.unlink()


def load_session(path: Path, settings: RuntimeSettings, *, profile: bool = False) -> Any:
    """Return a session of an ONNX file.

    Raises:
        RuntimeFailure: the file cannot be loaded.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    # a worker that spins between two calls would slow down all other arms of the comparison
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_profiling = profile
    options.profile_file_prefix = str(path.parent / "profile")
    try:
        return ort.InferenceSession(str(path), options, providers=[_provider(settings)])
    except Exception as error:
        raise failure("ONNX Runtime", error) from error


def _profile(path: Path, example: Tensor, settings: RuntimeSettings) -> ExportNotes:
    """Run once with profiling; return the operators outside the chosen execution provider."""
    session = load_session(path, settings, profile=True)
    try:
        session.run(None, {session.get_inputs()[0].name: example.numpy()})
    except Exception as error:
        raise failure("ONNX Runtime", error) from error
    report = Path(session.end_profiling())
    events = json.loads(report.read_text())
    report.unlink()
    nodes = [event["args"] for event in events if "op_name" in event.get("args", {})]
    provider = _provider(settings)
    elsewhere = Counter(
        f"{node['op_name']} on {node['provider']}"
        for node in nodes
        if node.get("provider", provider) != provider
    )
    return ExportNotes(dict(elsewhere), (f"{len(nodes)} nodes after optimisation",))


def _provider(settings: RuntimeSettings) -> str:
    return _PROVIDERS[settings.device.partition(":")[0]]
