"""ONNX Runtime: torch.export, then ONNX, then a session."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from attnbench.errors import RequestError
from attnbench.runtimes.artifact_cache import ExportNotes, artefact, key_of
from attnbench.runtimes.capture_output import silenced
from attnbench.runtimes.runtime import (
    BuiltModel,
    RuntimeBase,
    RuntimeFailure,
    RuntimeSettings,
    check,
)
from attnbench.runtimes.torch_export import exported, failure

if TYPE_CHECKING:
    from torch import Tensor, nn

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxRuntime(RuntimeBase):
    """ONNX Runtime, all graph optimisations on."""

    name: ClassVar[str] = "onnxruntime"
    title: ClassVar[str] = "ONNX Runtime"
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "int8")
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime", "onnx", "onnxscript", "torch")
    suffix: ClassVar[str | None] = ".onnx"

    def build(
        self, model: nn.Module, example: Tensor, settings: RuntimeSettings, folder: Path
    ) -> BuiltModel:
        """Export the model to ``folder``, or reuse the artefact there; see :class:`Runtime`."""
        check(self, settings)
        _check_provider(settings)

        def make(path: Path) -> ExportNotes:
            with silenced():
                write_onnx(model, example, settings.precision, path)
                return _profile(path, example, settings)

        key = key_of(model, example)
        path, kept = artefact(self, settings, folder, key, make)
        started = time.perf_counter()
        session = _session(path, settings)
        loaded = time.perf_counter() - started
        feed, names = {session.get_inputs()[0].name: example.numpy()}, [_output_name(session)]

        def output(x: Tensor) -> Tensor:
            import torch

            return torch.from_numpy(session.run(names, {next(iter(feed)): x.numpy()})[0]).float()

        # run() on a fixed feed: as fast as IO binding on the CPU (0.270 and 0.272 of eager on
        # MobileNetV2), and the call that applications use
        return BuiltModel(
            run=lambda: session.run(names, feed),
            output=output,
            export_s=kept.export_s,
            load_s=loaded,
            fallbacks=kept.fallbacks,
            notes=kept.notes,
            artefact=path,
        )


def write_onnx(model: nn.Module, example: Tensor, precision: str, path: Path) -> None:
    """Write the ONNX model for ``fp32`` or ``int8``.

    Raises:
        RuntimeFailure: the model cannot be exported.
    """
    import torch

    program = exported(model, example)
    try:
        onnx_program: Any = torch.onnx.export(program, dynamo=True, verbose=False)
        onnx_program.save(str(path), external_data=False)
        if precision == "int8":
            from attnbench.runtimes.onnx_quantization import quantise

            quantise(path, example)
    except Exception as error:
        raise failure("ONNX export", error) from error


def session_of(path: Path) -> Any:
    """Return a session of one thread on the processor.

    Raises:
        RuntimeFailure: the file cannot be loaded.
    """
    return _session(path, RuntimeSettings())


def _session(path: Path, settings: RuntimeSettings, *, profile: bool = False) -> Any:
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
    providers = [_provider(settings)]
    try:
        return ort.InferenceSession(str(path), options, providers=providers)
    except Exception as error:
        raise failure("ONNX Runtime", error) from error


def _profile(path: Path, example: Tensor, settings: RuntimeSettings) -> ExportNotes:
    """Run once with profiling; return the operators outside the chosen execution provider."""
    session = _session(path, settings, profile=True)
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


def _output_name(session: Any) -> str:
    return str(session.get_outputs()[0].name)


def _provider(settings: RuntimeSettings) -> str:
    return _PROVIDERS[settings.device.partition(":")[0]]


def _check_provider(settings: RuntimeSettings) -> None:
    import onnxruntime as ort

    if _provider(settings) not in ort.get_available_providers():
        raise RequestError(
            f"this ONNX Runtime has no {_provider(settings)}; for --device {settings.device} "
            "install onnxruntime-gpu in place of onnxruntime"
        )


__all__ = ["OnnxRuntime", "RuntimeFailure", "session_of", "write_onnx"]
