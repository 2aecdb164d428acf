"""CPCA against its equations."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.cpca import CPCA

from .plain import convolved, mixed

CARD = CPCA.card


def reference(module, image):
    u = mixed(module.conv, image)
    u = 0.5 * u * (1 + torch.erf(u / 2**0.5))
    first, _, second = module.mlp
    prior = sum(
        torch.sigmoid(mixed(second, mixed(first, pooled).clamp(min=0)))
        for pooled in (u.mean((1, 2)), u.flatten(1).max(1).values)
    )
    u = u * prior[:, None, None]
    square = convolved(module.scales.square, u)
    scales = square + sum(
        convolved(down, convolved(along, square)) for along, down in module.scales.strips
    )
    return mixed(module.conv, u * mixed(module.conv, scales))


@pytest.mark.parametrize("reduction", [4, 64])
@pytest.mark.parametrize("size", [(5, 9), (1, 1)])
def test_equals_the_equations(reduction, size):
    torch.manual_seed(0)
    module = CPCA(12, reduction=reduction).double()
    x = torch.randn(2, 12, *size, dtype=torch.double)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


@pytest.mark.parametrize("channels", [64, 512])
def test_known_counts(channels):
    assert CARD.params(channels) == 1.5 * channels**2 + 112.25 * channels
    assert CARD.macs(channels, 14, 14) == (3 * channels**2 + 103 * channels) * 196 + channels**2
