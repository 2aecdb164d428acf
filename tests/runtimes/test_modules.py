"""The attention modules themselves: exported, nothing of them lost."""

import pytest
import torch

import attnbench
from attnbench.runtimes.output_check import agreement
from attnbench.runtimes.registry import runtime
from attnbench.runtimes.runtime import RuntimeSettings
from attnbench.runtimes.sample_inputs import examples, randomize_weights


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    "module", ["bam", "cbam", "double_attention", "identity", "non_local", "se", "ulsam"]
)
def test_a_module_alone_is_equal_to_eager(module, name, tmp_path):
    torch.manual_seed(0)
    example = torch.randn(1, 32, 6, 6)
    model = randomize_weights(attnbench.create_module(module, 32), 0, example).eval()
    built = runtime(name).build(model, example, RuntimeSettings(), tmp_path)
    found = agreement(built, model, examples(example, 4), RuntimeSettings())
    assert found.equal and found.max_error < 1e-5
    if module != "identity":  # what it computes is not just its input
        assert not torch.allclose(built.output(example), example, atol=1e-2)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "executorch"])
def test_a_blend_is_equal_to_eager_and_off_no_fast_path(name, tmp_path):
    torch.manual_seed(0)
    example = torch.randn(1, 32, 6, 6)
    model = randomize_weights(attnbench.create_module("se", 32, blend=True), 0, example).eval()
    torch.nn.init.constant_(model.alpha, 0.3)
    built = runtime(name).build(model, example, RuntimeSettings(), tmp_path)
    found = agreement(built, model, examples(example, 4), RuntimeSettings())
    assert found.equal and found.max_error < 1e-5
    assert not built.fallbacks
    assert not torch.allclose(built.output(example), example, atol=1e-2)
