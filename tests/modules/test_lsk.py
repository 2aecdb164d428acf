"""LSK against its equations."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.lsk import LSK

from .plain import convolved, mixed

CARD = LSK.card


def reference(module, image):
    near = convolved(module.near, image)
    far = mixed(module.mix_far, convolved(module.far, near))
    near = mixed(module.mix_near, near)
    both = torch.cat([near, far])
    seen = torch.stack([both.sum(0) / len(both), both.max(0).values])
    choice = 1 / (1 + (-convolved(module.select, seen)).exp())
    return image * mixed(module.mix, near * choice[0] + far * choice[1])


@pytest.mark.parametrize("channels", [8, 5, 1])
@pytest.mark.parametrize("size", [(5, 9), (1, 1)])
def test_equals_the_equations(channels, size):
    torch.manual_seed(0)
    module = LSK(channels).double()
    x = torch.randn(2, channels, *size, dtype=torch.double)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


@pytest.mark.parametrize("channels", [16, 24, 512])
def test_known_counts(channels):
    assert CARD.params(channels) == 1.5 * channels**2 + 78 * channels + 198
    assert CARD.macs(channels, 14, 14) == (1.5 * channels**2 + 74 * channels + 196) * 196
