"""Every runtime on small networks: outputs, artifacts, fallbacks, silence, failures."""

import json
import re
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from attnbench.runtimes.output_check import agreement
from attnbench.runtimes.registry import runtime
from attnbench.runtimes.runtime import RuntimeFailure, RuntimeSettings

PLAIN = ["eager", "eager-channels-last"]
EXPORTING = ["onnxruntime", "openvino", "executorch"]
QUICK = ["onnxruntime", "openvino"]
FP32 = RuntimeSettings()


@pytest.mark.parametrize("name", [*PLAIN, *EXPORTING])
def test_output_is_eagers_every_time_and_the_model_stays_as_it_is(
    name, small, example, pictures, tmp_path, capfd
):
    small.train()
    before = {key: value.clone() for key, value in small.state_dict().items()}
    built = runtime(name).build(small, example, FP32, tmp_path)
    assert capfd.readouterr() == ("", "")
    assert small.training and all(one.requires_grad for one in small.parameters())
    assert all(torch.equal(small.state_dict()[key], value) for key, value in before.items())
    found = agreement(built, small, pictures, FP32)
    assert found.equal and found.top1 == 1.0
    assert built.load_s > 0
    built.run()
    found = agreement(built, small, pictures, FP32)
    assert found.equal  # run() left nothing behind
    if name in EXPORTING:
        first, second = _numbers(built.run()), _numbers(built.run())
        built.output(example + 1)
        assert torch.equal(first, second) and torch.equal(second, _numbers(built.run()))
        assert torch.allclose(first, small.eval()(example), atol=1e-5)


def _numbers(result):
    """The values of what a runtime's call returned."""
    value = next(iter(result.values())) if hasattr(result, "values") else result[0]
    return torch.as_tensor(value).clone().reshape(1, -1)


@pytest.mark.parametrize("name", QUICK)
def test_artifacts_are_used_again_and_made_again_when_damaged(
    name, small, example, tmp_path, monkeypatch
):
    found = runtime(name)
    first = found.build(small, example, FP32, tmp_path)
    made = first.artifact.read_bytes()
    module = sys.modules[type(found).__module__]
    exports = []
    real = module.export_program

    def counted(*arguments):
        exports.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(module, "export_program", counted)
    again = found.build(small, example, FP32, tmp_path)
    assert not exports and again.export_s == first.export_s and again.notes == first.notes
    first.artifact.write_bytes(made[: len(made) // 2])
    found.build(small, example, FP32, tmp_path)
    assert len(exports) == 1
    torch.nn.init.normal_(small.head.weight)  # another model in the same folder
    other = found.build(small, example, FP32, tmp_path)
    assert len(exports) == 2 and agreement(other, small, example, FP32).equal
    next(tmp_path.glob("*.json")).write_text("{")
    found.build(small, example, FP32, tmp_path)
    assert len(exports) == 3
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_an_export_that_dies_leaves_nothing_that_is_taken_for_whole(
    small, example, tmp_path, monkeypatch
):
    from attnbench.runtimes import exporting_runtime

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(exporting_runtime, "replace_file", dies)
        with pytest.raises(KeyboardInterrupt):
            runtime("onnxruntime").build(small, example, FP32, tmp_path)
    assert not list(tmp_path.glob("*.json"))
    built = runtime("onnxruntime").build(small, example, FP32, tmp_path)
    assert (
        json.loads((tmp_path / "onnxruntime-fp32.json").read_text())["export_s"] == built.export_s
    )


class Branching(nn.Module):
    def forward(self, x):
        return x * 2 if x.mean() > 0 else x


class Decomposing(nn.Module):
    def forward(self, x):
        return torch.linalg.svd(x.flatten(1))[0]


class Raising(nn.Module):
    def forward(self, x):
        raise ValueError("no such thing\nand more of it")


@pytest.mark.parametrize("name", EXPORTING)
@pytest.mark.parametrize(
    ("model", "told"),
    [
        (Branching(), "data-dependent"),
        (Decomposing(), "svd"),
        (Raising(), "ValueError: no such thing$"),
    ],
)
def test_what_cannot_be_exported_is_told_in_one_line(name, model, told, example, tmp_path):
    with pytest.raises(RuntimeFailure, match=told) as raised:
        runtime(name).build(model, example, FP32, tmp_path)
    text = str(raised.value)
    assert "\n" not in text and len(text) < 300
    assert not list(tmp_path.glob("*.*"))


def test_a_model_that_raises_fails_in_eager_too(example, tmp_path):
    with pytest.raises(RuntimeFailure, match=r"PyTorch eager: ValueError: no such thing$"):
        runtime("eager").build(Raising(), example, FP32, tmp_path)


class Summing(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x).flatten(2).cumsum(-1).mean(-1) * 2


class Sorting(Summing):
    def forward(self, x):
        return self.conv(x).sort(-1).values


def test_executorch_names_what_xnnpack_did_not_take(example, tmp_path):
    model = Summing()
    built = runtime("executorch").build(model, example, FP32, tmp_path)
    assert built.fallbacks["aten.cumsum not delegated"] == 1
    assert not any(re.search("conv|mul|getitem|alloc", name) for name in built.fallbacks)
    assert built.notes == ("2 partitions",)
    assert agreement(built, model, example, FP32).equal


def test_executorch_without_a_kernel_says_which(example, tmp_path):
    with pytest.raises(RuntimeFailure, match=r"ExecuTorch has no kernel for aten::sort\.values$"):
        runtime("executorch").build(Sorting(), example, FP32, tmp_path)


def test_openvino_counts_what_it_executes(small, example, tmp_path):
    built = runtime("openvino").build(small, example, FP32, tmp_path)
    assert built.fallbacks == {}
    layers = int(re.fullmatch(r"(\d+) layers executed", built.notes[0])[1])
    assert 4 <= layers <= 20


def test_onnxruntime_counts_what_is_left_after_optimisation(small, example, tmp_path):
    built = runtime("onnxruntime").build(small, example, FP32, tmp_path)
    assert built.fallbacks == {}
    assert 4 <= int(built.notes[0].split()[0]) <= 8  # batch norms and activations are folded away


@pytest.mark.parametrize("name", PLAIN)
def test_bf16_differs_a_little(name, small, example, pictures, tmp_path):
    settings = replace(FP32, precision="bf16")
    built = runtime(name).build(small, example, settings, tmp_path)
    found = agreement(built, small, pictures, settings)
    assert not found.equal and 25 < found.sqnr_db < 80


@pytest.mark.parametrize("name", EXPORTING)
def test_int8_differs_more_but_is_of_the_same_network(name, small, example, pictures, tmp_path):
    settings = replace(FP32, precision="int8")
    built = runtime(name).build(small, example, settings, tmp_path)
    found = agreement(built, small, pictures, settings)
    assert not found.equal and 10 < found.sqnr_db < 60 and found.top1 >= 0.5
    assert built.artifact.name.startswith(f"{name}-int8")


def test_bf16_in_openvino_where_the_processor_has_it(
    small, example, pictures, tmp_path, monkeypatch
):
    from attnbench.errors import RequestError
    from attnbench.runtimes import open_vino

    settings = replace(FP32, precision="bf16")
    if "BF16" in open_vino._core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        built = runtime("openvino").build(small, example, settings, tmp_path)
        assert 20 < agreement(built, small, pictures, settings).sqnr_db < 80

    class Old:
        def get_property(self, *_):
            return ["FP32", "INT8"]

    monkeypatch.setattr(open_vino, "_core", Old)
    with pytest.raises(RequestError, match="no bf16 arithmetic"):
        runtime("openvino").build(small, example, settings, tmp_path)
