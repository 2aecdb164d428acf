"""External attention against its equations."""

from __future__ import annotations

import math

import pytest
import torch
from attnbench_modules.external import ExternalAttention
from torch import nn

CARD = ExternalAttention.card


def moved(channels=6, slots=4):
    torch.manual_seed(0)
    module = ExternalAttention(channels, slots=slots).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    module.norm.running_mean.normal_()
    module.norm.running_var.uniform_(0.5, 2)
    return module


def memory_read(module, image):
    """Return W2 M2 a of one image, positions by channels."""
    project, keys, values, out = (
        layer.weight[:, :, 0, 0]
        for layer in (module.project, module.keys, module.values, module.out)
    )
    positions = [image[:, i, j] for i in range(image.shape[1]) for j in range(image.shape[2])]
    scores = [keys @ (project @ position + module.project.bias) for position in positions]
    powers = torch.stack([score.exp() for score in scores])  # (N, k)
    maps = powers / powers.sum(0)
    attention = [row / row.sum() for row in maps]
    return torch.stack([out @ (values @ row) for row in attention])


@pytest.mark.parametrize("training", [True, False])
def test_equals_the_equations(training):
    module = moved().train(training)
    x = torch.randn(3, 6, 2, 5, dtype=torch.double)
    read = torch.stack([memory_read(module, image) for image in x])  # (B, N, C)
    mean, variance = module.norm.running_mean, module.norm.running_var
    if training:
        mean, variance = read.mean((0, 1)), read.var((0, 1), unbiased=False)
    normed = (read - mean) / (variance + 1e-5).sqrt() * module.norm.weight + module.norm.bias
    expected = (x + normed.transpose(1, 2).reshape(x.shape)).relu()
    torch.testing.assert_close(module(x), expected)


def test_the_bias_of_the_projection_does_nothing():
    module = moved().eval()
    x = torch.randn(2, 6, 4, 4, dtype=torch.double)
    before = module(x)
    nn.init.normal_(module.project.bias, std=3)
    torch.testing.assert_close(module(x), before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_positions_that_no_slot_looks_at_stay_finite(dtype):
    module = moved(slots=1).to(dtype).eval()
    towards = (module.keys.weight.flatten(1) @ module.project.weight.flatten(1))[0]
    x = torch.zeros(1, 6, 4, 4, dtype=dtype)
    x[0, :, 0, 0] = 300 * towards.sign()  # all of the softmax is here
    assert module(x).isfinite().all()


@pytest.mark.parametrize("training", [True, False])
def test_one_position_gives_every_slot_the_same(training):
    module = moved().train(training)
    x = torch.randn(1, 6, 1, 1, dtype=torch.double)
    read = module.out.weight.flatten(1) @ module.values.weight.flatten(1).mean(1)
    scale = module.norm.weight / (module.norm.running_var + 1e-5).sqrt()
    normed = (read - module.norm.running_mean) * scale + module.norm.bias
    torch.testing.assert_close(module(x), (x + normed[:, None, None]).relu())


def test_known_counts():
    c, n = 512, 196
    assert CARD.params(c) == 2 * c**2 + 131 * c == 591_360
    assert CARD.macs(c, 14, 14) == 2 * c * (c + 64) * n == 115_605_504
    fused = sum(p.numel() for p in ExternalAttention(c).fuse().parameters())
    assert fused == 2 * 64 * c + 64 + c
    assert math.isclose(ExternalAttention(c).keys.weight.std().item(), (2 / 64) ** 0.5, rel_tol=0.1)
