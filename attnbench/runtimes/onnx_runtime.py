"""ONNX Runtime: torch.export, then ONNX, for int8 quantized in QDQ form, then a session."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from attnbench.runtimes.exporting_runtime import ExportingRuntime, ExportNotes
from attnbench.runtimes.runtime import RuntimeFailure, RuntimeSettings
from attnbench.runtimes.torch_export import export_program, failure

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnbench.runtimes.exporting_runtime import Bound

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True)
class _Loaded:
    """A session with its device, and on CUDA with its stream."""

    session: Any
    device: str
    stream: Any = None


class OnnxRuntime(ExportingRuntime):
    """ONNX Runtime, all graph optimizations on."""

    name: ClassVar[str] = "onnxruntime"
    title: ClassVar[str] = "ONNX Runtime"
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "tf32", "int8")
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime", "onnx", "onnxscript", "torch")
    suffix: ClassVar[str] = ".onnx"

    def missing_on(self, device_kind: str) -> str | None:
        """Return the reason why this installation cannot use a kind of device, or None."""
        if device_kind == "cpu":
            return None
        import onnxruntime as ort

        provider = _PROVIDERS[device_kind]
        if provider in ort.get_available_providers():
            return None
        return (
            f"runtime {self.name} cannot use the device: this ONNX Runtime has no {provider}. "
            "Install onnxruntime-gpu in place of onnxruntime"
        )

    def _write(
        self, model: nn.Module, example: Tensor, settings: RuntimeSettings, path: Path
    ) -> ExportNotes:
        write_onnx(model, example, settings.precision, path)
        return _profile(path, example, settings)

    def _load(self, path: Path, example: Tensor, settings: RuntimeSettings) -> _Loaded:
        import torch

        # a session on a GPU works on this stream, as torch's default one cannot be named to it
        is_cuda, cuda = settings.device_kind == "cuda", cast("Any", torch.cuda)
        stream = cuda.Stream(device=settings.device) if is_cuda else None
        return _Loaded(load_session(path, settings, stream=stream), settings.device, stream)

    def _bind(self, session: _Loaded, example: Tensor) -> Bound:
        import torch

        if session.stream is None:
            return _bind_on_processor(session.session, example)
        from attnbench.runtimes.onnx_cuda import bind_on_device

        device = torch.device(session.device)
        return bind_on_device(
            session.session,
            example,
            device,
            session.stream,
            lambda: torch.cuda.current_stream(device),
        )


def _bind_on_processor(session: Any, example: Tensor) -> Bound:
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


def load_session(
    path: Path, settings: RuntimeSettings, *, profile: bool = False, stream: Any = None
) -> Any:
    """Return a session of an ONNX file.

    Args:
        path: the file.
        settings: the settings of the build.
        profile: whether the session writes a profile beside the file.
        stream: the ``torch.cuda.Stream`` on which a session on a GPU works.

    Raises:
        RuntimeFailure: the file cannot be loaded, or not by the provider of the device.
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
    wanted = _PROVIDERS[settings.device_kind]
    try:
        session = ort.InferenceSession(
            str(path), options, providers=_providers(settings, stream), enable_fallback=0
        )
    except Exception as error:
        raise failure("ONNX Runtime", error) from error
    if wanted not in session.get_providers():  # a warning of ONNX Runtime, and it goes on without
        raise RuntimeFailure(
            f"ONNX Runtime cannot load its {wanted}, and would run on "
            f"{', '.join(session.get_providers())}: its CUDA and cuDNN must be those of torch"
        )
    return session


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
    provider = _PROVIDERS[settings.device_kind]
    elsewhere = Counter(
        f"{node['op_name']} on {node['provider']}"
        for node in nodes
        if node.get("provider", provider) != provider
    )
    return ExportNotes(dict(elsewhere), (f"{len(nodes)} nodes after optimisation",))


def _providers(settings: RuntimeSettings, stream: Any) -> list[Any]:
    if settings.device_kind == "cpu":
        return [_PROVIDERS["cpu"]]
    from attnbench.runtimes.onnx_cuda import cuda_provider

    return [cuda_provider(settings, stream)]
