"""SGE against its equations."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from attnbench_modules.sge import SGE

CARD = SGE.card


def moved(channels=12, **options):
    torch.manual_seed(0)
    module = SGE(channels, **options).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module


def gates(module, group, index):
    """Return the gate of each position of one group, (c, N)."""
    means = [statistics.fmean(channel) for channel in group.tolist()]
    likeness = [
        sum(m * v for m, v in zip(means, position, strict=True)) for position in group.T.tolist()
    ]
    mean, deviation = statistics.fmean(likeness), statistics.stdev(likeness)
    weight, bias = module.weight[index].item(), module.bias[index].item()
    scores = [weight * (s - mean) / (deviation + 1e-5) + bias for s in likeness]
    return torch.tensor([1 / (1 + math.exp(-s)) for s in scores], dtype=torch.double)


@pytest.mark.parametrize("groups", [1, 3, 12])
def test_equals_the_equations(groups):
    module = moved(groups=groups)
    x = torch.randn(2, 12, 4, 3, dtype=torch.double)
    expected = x.clone()
    for image in expected:
        for index, group in enumerate(image.chunk(groups)):
            group *= gates(module, group.flatten(1), index).reshape(4, 3)
    torch.testing.assert_close(module(x), expected)


def test_starts_with_one_gate_for_all():
    x = torch.randn(2, 16, 5, 5)
    torch.testing.assert_close(SGE(16)(x), x / (1 + math.exp(-1)))


@pytest.mark.parametrize("training", [True, False])
def test_maps_without_differences_are_scaled_by_the_bias(training):
    module = moved(groups=4).train(training)
    gate = module.bias.sigmoid().repeat_interleave(3, 0)
    for x in (torch.randn(1, 12, 1, 1), torch.ones(2, 12, 3, 5)):
        x = x.double().requires_grad_()
        y = module(x)
        torch.testing.assert_close(y, x * gate)
        y.sum().backward()
        assert x.grad.isfinite().all()


def test_groups_fit_the_channels():
    assert {c: SGE(c).groups for c in (16, 24, 96, 160, 320, 512, 1024)} == {
        16: 16,
        24: 24,
        96: 48,
        160: 40,
        320: 64,
        512: 64,
        1024: 64,
    }
    with pytest.raises(ValueError, match="multiple of groups"):
        SGE(96, groups=64)


def test_known_counts():
    assert CARD.params(512) == 128
    assert CARD.macs(512, 14, 14) == 0
