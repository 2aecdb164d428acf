"""ONNX Runtime for a CUDA device, with its sessions on the processor and streams that keep a log."""

import sys
from types import SimpleNamespace

import onnxruntime as ort
import pytest
import torch

from attnbench.errors import MissingExtraError
from attnbench.runtimes.onnx_cuda import bind_on_device, cuda_provider
from attnbench.runtimes.onnx_runtime import load_session
from attnbench.runtimes.output_check import agreement
from attnbench.runtimes.registry import runtime
from attnbench.runtimes.runtime import BuiltModel, RuntimeFailure, RuntimeSettings

CUDA = RuntimeSettings(device="cuda:1")


class Stream:
    def __init__(self, log, name):
        self.log, self.name, self.cuda_stream = log, name, 0x7F00

    def wait_stream(self, other):
        self.log.append(f"{self.name} waits for {other.name}")


@pytest.fixture
def session(small, example, tmp_path):
    built = runtime("onnxruntime").build(small, example, RuntimeSettings(), tmp_path)
    return load_session(built.artifact, RuntimeSettings())


def test_input_and_output_are_bound_and_the_streams_wait_for_each_other(
    session, small, example, pictures, monkeypatch
):
    log = []
    real = session.run_with_iobinding

    def logged(binding, options):
        assert options.get_run_config_entry("disable_synchronize_execution_providers") == "1"
        log.append("run")
        real(binding, options)

    monkeypatch.setattr(session, "run_with_iobinding", logged)
    monkeypatch.setattr(session, "run", pytest.fail)  # it would copy input and output
    main = Stream(log, "torch")
    run, output = bind_on_device(
        session, example, torch.device("cpu"), Stream(log, "session"), lambda: main
    )
    assert log == []
    result = run()
    assert log == ["session waits for torch", "run", "torch waits for session"]
    with torch.inference_mode():
        assert torch.allclose(result, small.eval()(example), atol=1e-5)
    built = BuiltModel(run, output, None, 0.0)
    assert agreement(built, small, pictures, RuntimeSettings()).equal
    first = result.clone()
    output(example + 1)
    assert torch.equal(run(), first)  # on the bound input, whatever came between


@pytest.mark.parametrize(
    ("device", "precision", "options"),
    [
        ("cuda:0", "fp32", {"device_id": "0", "use_tf32": "0"}),
        ("cuda:1", "fp32", {"device_id": "1", "use_tf32": "0"}),
        ("cuda:1", "tf32", {"device_id": "1", "use_tf32": "1"}),
    ],
)
def test_the_provider_is_given_device_tf32_and_stream(device, precision, options):
    settings = RuntimeSettings(precision=precision, device=device)
    assert cuda_provider(settings) == ("CUDAExecutionProvider", options)
    with_stream = cuda_provider(settings, Stream([], "session"))[1]
    assert with_stream == {**options, "user_compute_stream": str(0x7F00)}


@pytest.mark.parametrize("loaded", [["CPUExecutionProvider"], []])
def test_a_provider_that_cannot_load_is_no_silent_run_on_the_processor(
    loaded, tmp_path, monkeypatch
):
    asked = {}

    def made(path, options, **given):
        asked.update(given)
        return SimpleNamespace(get_providers=lambda: loaded)

    monkeypatch.setattr(ort, "InferenceSession", made)
    with pytest.raises(RuntimeFailure, match="cannot load its CUDAExecutionProvider"):
        load_session(tmp_path / "model.onnx", CUDA)
    assert asked["enable_fallback"] == 0
    assert asked["providers"] == [cuda_provider(CUDA)]


def test_an_installation_without_the_provider_is_missing_something(small, example, tmp_path):
    assert "CUDAExecutionProvider" not in ort.get_available_providers()
    with pytest.raises(MissingExtraError, match=r"no CUDAExecutionProvider\. .*onnxruntime-gpu"):
        runtime("onnxruntime").build(small, example, CUDA, tmp_path)


def test_artifacts_of_devices_and_precisions_are_kept_apart(small, example, tmp_path, monkeypatch):
    """A run on the processor leaves its notes, which are not those of a run on a GPU."""
    found = runtime("onnxruntime")
    module = sys.modules[type(found).__module__]
    monkeypatch.setattr(type(found), "missing_on", lambda *given: None)
    monkeypatch.setattr(module, "_providers", lambda *given: ["CPUExecutionProvider"])
    monkeypatch.setitem(module._PROVIDERS, "cuda", "CPUExecutionProvider")
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: None)
    names = set()
    for device in ("cpu", "cuda:0", "cuda:1"):
        settings = RuntimeSettings(device=device)
        names.add(found.build(small, example, settings, tmp_path).artifact.name)
    assert names == {
        "onnxruntime-fp32.onnx", "onnxruntime-fp32-cuda-0.onnx", "onnxruntime-fp32-cuda-1.onnx",
    }  # fmt: skip


@pytest.mark.skipif(
    not torch.cuda.is_available() or "CUDAExecutionProvider" not in ort.get_available_providers(),
    reason="no CUDA device, or no onnxruntime-gpu",
)
def test_on_a_real_device(small, example, pictures, tmp_path):
    settings = RuntimeSettings(device="cuda:0")
    built = runtime("onnxruntime").build(small, example, settings, tmp_path)
    assert agreement(built, small, pictures, settings).equal
    built.run()
