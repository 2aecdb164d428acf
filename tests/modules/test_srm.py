"""SRM against its equations."""

from __future__ import annotations

import statistics

import pytest
import torch
from attnbench_modules.srm import SRM

CARD = SRM.card


def moved(channels):
    torch.manual_seed(0)
    module = SRM(channels).double()
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 2) if "running_var" in name else tensor.normal_()
    return module


def styles(module, x):
    """Return the scores before the norm, image by channel."""
    scores = []
    for image in x.tolist():
        row = []
        for (by_mean, by_deviation), channel in zip(module.cfc.tolist(), image, strict=True):
            values = [value for line in channel for value in line]
            deviation = (statistics.variance(values) + 1e-5) ** 0.5
            row.append(by_mean * statistics.fmean(values) + by_deviation * deviation)
        scores.append(row)
    return torch.tensor(scores, dtype=torch.double)


@pytest.mark.parametrize("training", [True, False])
def test_equals_the_equations(training):
    module = moved(5).train(training)
    x = torch.randn(4, 5, 3, 6, dtype=torch.double)
    scores = styles(module, x)
    mean, variance = module.norm.running_mean, module.norm.running_var
    if training:
        mean, variance = scores.mean(0), scores.var(0, unbiased=False)
    normed = (scores - mean) / (variance + 1e-5).sqrt() * module.norm.weight + module.norm.bias
    torch.testing.assert_close(module(x), x * normed.sigmoid()[..., None, None])


def test_starts_as_one_half():
    x = torch.randn(3, 6, 4, 4)
    torch.testing.assert_close(SRM(6)(x), x / 2)


def test_one_position_has_no_deviation():
    module = moved(4).eval()
    x = torch.randn(2, 4, 1, 1, dtype=torch.double)
    style = module.cfc[:, 0] * x.flatten(1) + module.cfc[:, 1] * 1e-5**0.5
    scale = module.norm.weight / (module.norm.running_var + 1e-5).sqrt()
    gate = ((style - module.norm.running_mean) * scale + module.norm.bias).sigmoid()
    torch.testing.assert_close(module(x), x * gate[..., None, None])


def test_a_large_offset_costs_no_digits():
    module = moved(4).eval()
    x = torch.randn(2, 4, 8, 8, dtype=torch.double)
    gate = module(x + 1e6) / (x + 1e6)
    again = module.float()(x.float() + 1e6) / (x.float() + 1e6)
    torch.testing.assert_close(again.double(), gate, rtol=0, atol=0.05)


def test_known_counts():
    assert CARD.params(512) == 2048
    assert CARD.macs(512, 14, 14) == 0
