"""CAA against its equations."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.caa import CAA

from .plain import convolved, normed, randomised

CARD = CAA.card


def silu(values):
    return values / (1 + (-values).exp())


def around(image):
    """Average 7x7 positions around each, zeros beyond the border."""
    height, width = image.shape[1:]
    padded = image.new_zeros(len(image), height + 6, width + 6)
    padded[:, 3:-3, 3:-3] = image
    means = torch.empty_like(image)
    for i in range(height):
        for j in range(width):
            means[:, i, j] = padded[:, i : i + 7, j : j + 7].sum((1, 2)) / 49
    return means


def reference(module, image):
    first, norm, _ = module.conv1
    context = silu(normed(norm, convolved(first, around(image))))
    for strip in module.strips:
        context = convolved(strip, context)
    last, norm, _ = module.conv2
    return image / (1 + (-silu(normed(norm, convolved(last, context)))).exp())


@pytest.mark.parametrize("kernel_size", [11, 3])
@pytest.mark.parametrize("size", [(5, 9), (1, 1)])
def test_equals_the_equations(kernel_size, size):
    torch.manual_seed(0)
    module = randomised(CAA(6, kernel_size=kernel_size))
    x = torch.randn(2, 6, *size, dtype=torch.double)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


def test_strips_lie_before_they_stand():
    along, down = CAA(4).strips
    assert (along.kernel_size, down.kernel_size) == ((1, 11), (11, 1))


def test_no_gate_is_below_43_percent():
    torch.manual_seed(0)
    module = randomised(CAA(8))
    with torch.no_grad():
        module.conv2[1].bias.copy_(torch.linspace(-20, 20, 8))
    gate = module(torch.ones(1, 8, 9, 9, dtype=torch.double))
    assert 0.43 < gate.min() < 0.45
    assert gate.max() > 0.99


@pytest.mark.parametrize("channels", [24, 512])
def test_known_counts(channels):
    assert CARD.params(channels) == 2 * channels**2 + 28 * channels
    assert CARD.macs(channels, 14, 14) == (2 * channels**2 + 22 * channels) * 196
