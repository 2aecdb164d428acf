"""CPCA against its equations."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.cpca import CPCA

CARD = CPCA.card


def depthwise(layer, image):
    """Sum shifted copies of the map, each weighed by one tap."""
    rows, columns = layer.kernel_size
    height, width = image.shape[1:]
    padded = image.new_zeros(len(image), height + rows - 1, width + columns - 1)
    padded[:, rows // 2 : rows // 2 + height, columns // 2 : columns // 2 + width] = image
    total = layer.bias[:, None, None].expand_as(image)
    for i in range(rows):
        for j in range(columns):
            total = (
                total
                + layer.weight[:, 0, i, j, None, None] * padded[:, i : i + height, j : j + width]
            )
    return total


def mixed(layer, values):
    return torch.einsum("oc,c...->o...", layer.weight[:, :, 0, 0], values) + layer.bias.reshape(
        (-1,) + (1,) * (values.dim() - 1)
    )


def reference(module, image):
    u = mixed(module.conv, image)
    u = 0.5 * u * (1 + torch.erf(u / 2**0.5))
    first, _, second = module.mlp
    prior = sum(
        torch.sigmoid(mixed(second, mixed(first, pooled).clamp(min=0)))
        for pooled in (u.mean((1, 2)), u.flatten(1).max(1).values)
    )
    u = u * prior[:, None, None]
    square = depthwise(module.square, u)
    scales = square + sum(
        depthwise(down, depthwise(along, square)) for along, down in module.strips
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
