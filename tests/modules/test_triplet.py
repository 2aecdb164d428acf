"""Triplet attention against the map turned three ways, as the paper draws it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from attnbench_modules.triplet import TripletAttention

CARD = TripletAttention.card


def gated(x, layers):
    """Scale x by a gate over its last two directions, pooled along its second."""
    conv, norm = layers
    pooled = torch.stack([x.max(1).values, x.mean(1)], 1)
    z = F.conv2d(pooled, conv.weight, padding=conv.kernel_size[0] // 2)
    z = (z - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
    return x * torch.sigmoid(z)


def reference(module, x):
    branches = [
        gated(x.permute(0, 2, 1, 3), module.cw).permute(0, 2, 1, 3),
        gated(x.permute(0, 3, 2, 1), module.hc).permute(0, 3, 2, 1),
    ]
    if module.hw is not None:
        branches.append(gated(x, module.hw))
    return sum(branches) / len(branches)


@pytest.mark.parametrize("options", [{}, {"kernel_size": 3}, {"spatial": False}])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_equals_the_map_turned_three_ways(options, layout):
    torch.manual_seed(0)
    module = TripletAttention(12, **options).double().eval()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 12, 6, 9, dtype=torch.double).contiguous(memory_format=layout)
    torch.testing.assert_close(module(x), reference(module, x))


def test_known_counts():
    assert CARD.params(512) == CARD.params(8) == 300
    assert CARD.params(512, kernel_size=3) == 60
    assert CARD.macs(512, 14, 14) == 98 * (2 * 512 * 14 + 14 * 14)


def test_channels_are_neighbours():
    torch.manual_seed(0)
    module, x = TripletAttention(8).eval(), torch.randn(1, 8, 5, 5)
    turned = module(x.flip(1)).flip(1)
    assert not torch.allclose(turned, module(x))


@pytest.mark.parametrize("kernel_size", [2, 0, 4])
def test_even_kernels_are_refused(kernel_size):
    with pytest.raises(ValueError, match="odd"):
        TripletAttention(16, kernel_size=kernel_size)
