"""MSCA against its equations."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.msca import MSCA

from .plain import convolved, mixed

CARD = MSCA.card


def reference(module, image):
    square = convolved(module.scales.square, image)
    scales = square
    for (along, down), taps in zip(module.scales.strips, (7, 11, 21), strict=True):
        assert (along.kernel_size, down.kernel_size) == ((1, taps), (taps, 1))
        scales = scales + convolved(down, convolved(along, square))
    return image * mixed(module.mix, scales)


@pytest.mark.parametrize("size", [(5, 23), (1, 1)])
def test_equals_the_equations(size):
    torch.manual_seed(0)
    module = MSCA(6).double()
    x = torch.randn(2, 6, *size, dtype=torch.double)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


@pytest.mark.parametrize("channels", [24, 512])
def test_known_counts(channels):
    assert CARD.params(channels) == channels**2 + 111 * channels
    assert CARD.macs(channels, 14, 14) == (channels**2 + 103 * channels) * 196
