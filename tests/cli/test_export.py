"""``attnbench export``: files for devices, checked."""

import json

import pytest
import torch

import attnbench as library
from attnbench.runtimes.registry import _registry as registry
from attnbench.runtimes.registry import register_runtime, runtime
from attnbench.runtimes.runtime import BuiltModel, RuntimeBase

ALONE = ("-m", "ulsam,groups=4", "--channels", "16", "--size", "6")


@pytest.fixture(autouse=True)
def forget():
    before = registry().entries()
    yield
    registry().restore(before)


class Wrong(RuntimeBase):
    name, title, suffix = "wrong", "Wrong", ".bin"

    def build(self, model, example, settings, folder):
        path = folder / "wrong-fp32.bin"
        path.write_bytes(b"1234")
        return BuiltModel(lambda: None, lambda x: x * 1.01, 1.0, 0.0, artifact=path)


def test_a_module_alone(attnbench, tmp_path):
    done = attnbench("export", *ALONE, "--runtime", "onnxruntime", "-o", "out", "--json")
    assert done.status == 0 and "exporting alone/ulsam" in done.err
    arm = done.json
    assert arm["file"] == "out/ulsam_16x6x6.onnx" and arm["status"] == "ok"
    assert (arm["bytes"], arm["weights"]) == ((tmp_path / arm["file"]).stat().st_size, "random")
    assert arm["max_error"] < arm["tolerance"] and arm["export_s"] > 0
    about = json.loads((tmp_path / "out/ulsam_16x6x6.onnxruntime.json").read_text())
    assert about["input"]["shape"] == [1, 16, 6, 6] and about["versions"]["onnxruntime"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "ulsam_16x6x6.onnx",
        "ulsam_16x6x6.onnxruntime.json",
    ]
    import onnxruntime as ort

    session = ort.InferenceSession(tmp_path / arm["file"], providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == [1, 16, 6, 6]


@pytest.mark.usefixtures("operators_translated_once")
def test_placed_with_weights_batch_and_two_runtimes(attnbench, tmp_path):
    torch.manual_seed(3)
    backbone = library.create_backbone("mobilenet_v1", width=0.1, num_classes=7).eval()
    torch.save(backbone.state_dict(), tmp_path / "w.pt")
    done = attnbench(
        "export", "-b", "mobilenet_v1,width=0.1,num_classes=7", "-m", "identity", "-p", "after:3",
        "--size", 32, "--batch", 2, "--runtime", "onnxruntime,openvino", "-o", "out",
        "--weights", "w.pt",
    )  # fmt: skip
    assert done.status == 0
    stem = "out/mobilenet_v1-num_classes-7-width-0.1_identity_after-3_32x32_batch2"
    assert f"{stem}.onnx" in done.out and f"{stem}.xml" in done.out and "weights: w.pt" in done.out
    assert "checked against eager" in done.out and "random" not in done.out.splitlines()[-1]
    assert (tmp_path / f"{stem}.bin").is_file()
    import openvino as ov

    compiled = ov.Core().compile_model(tmp_path / f"{stem}.xml", "CPU")
    x = torch.randn(2, 3, 32, 32)
    found = torch.from_numpy(compiled([x.numpy()])[0])
    with torch.no_grad():
        torch.testing.assert_close(found, backbone(x), rtol=1e-3, atol=1e-4)


def test_a_wrong_output_is_a_failure_and_leaves_nothing(attnbench, tmp_path):
    register_runtime("wrong", Wrong)
    done = attnbench("export", *ALONE, "--runtime", "wrong", "-o", "out", "--json")
    assert done.status == 1 and done.json["status"] == "failed"
    assert "eager" in done.json["reason"]
    assert list((tmp_path / "out").iterdir()) == []
    text = attnbench("export", *ALONE, "--runtime", "wrong", "-o", "out")
    assert text.status == 1 and "wrong failed: " in text.out


def test_what_cannot_be_exported_is_told_and_the_rest_is_written(attnbench, tmp_path):
    (tmp_path / "my.py").write_text(
        "from torch import nn\n"
        "class Branching(nn.Module):\n"
        "    def __init__(self, channels):\n        super().__init__()\n"
        "    def forward(self, x):\n        return x * 2 if x.mean() > 0 else x\n"
    )
    done = attnbench(
        "export", "-m", "my.py:Branching", "-m", "se", "--channels", 16, "--size", 6,
        "--runtime", "onnxruntime", "-o", "out", "--json",
    )  # fmt: skip
    assert done.status == 1
    assert [arm["status"] for arm in done.json["arms"]] == ["failed", "ok"]
    assert "data-dependent" in done.json["arms"][0]["reason"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--runtime", "eager"), "onnxruntime, openvino, executorch"),
        (("--runtime", "onnx"), "'onnx'"),
        (("--runtime", "executorch", "--precision", "bf16"), "fp32, int8"),
        (("--runtime", "onnxruntime", "--weights", "none.pt"), "none.pt"),
        (("--runtime", "onnxruntime", "-p", "after:3"), "-b"),
    ],
)
def test_wrong_requests(words, told, attnbench, tmp_path):
    done = attnbench("export", *ALONE, "-o", "out", *words)
    assert done.status == 2 and told in done.err and done.out == ""
    assert not (tmp_path / "out").exists()


def test_a_runtime_that_is_not_installed(attnbench, monkeypatch):
    monkeypatch.setattr(type(runtime("openvino")), "packages", ("surely-not-installed",))
    done = attnbench("export", *ALONE, "--runtime", "openvino", "-o", "out")
    assert done.status == 2 and "pip install 'attnbench[openvino]'" in done.err


def test_long_names_are_cut_and_stay_apart():
    from attnbench.measure.export import file_stem
    from attnbench.suites.case import Case, Conditions

    def stem(placement):
        case = Case("cost", "mobilenet_v2", "se", placement, None, (224, 224))
        return file_stem(case.for_latency(Conditions("onnxruntime", precision="int8")))

    assert stem("after:14") == "mobilenet_v2_se_after-14_int8"
    long = [stem(f"after:{'features.1.conv,' * 20}{number}") for number in (1, 2)]
    assert long[0] != long[1] and all(len(name) < 150 for name in long)


def test_reduced_precision_reports_noise_instead(attnbench):
    done = attnbench(
        "export", "-m", "se", "--channels", 16, "--size", 6, "--runtime", "onnxruntime",
        "--precision", "int8", "-o", "out",
    )  # fmt: skip
    assert done.status == 0 and "signal to noise" in done.out and "se_16x6x6_int8.onnx" in done.out
