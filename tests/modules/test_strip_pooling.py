"""Strip pooling against its equations."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.strip_pooling import StripPooling

from .plain import convolved, mixed, normed, randomised

CARD = StripPooling.card


def reference(module, image):
    """One position at a time: its row's value and its column's, then the last layer."""
    height, width = image.shape[1:]
    rows = convolved(module.rows[0], image.sum(2, keepdim=True) / width)
    columns = convolved(module.columns[0], image.sum(1, keepdim=True) / height)
    rows, columns = normed(module.rows[1], rows), normed(module.columns[1], columns)
    y = torch.empty_like(image)
    for i in range(height):
        for j in range(width):
            both = (rows[:, i, 0] + columns[:, 0, j]).clamp(min=0)
            y[:, i, j] = image[:, i, j] / (1 + (-mixed(module.mix, both)).exp())
    return y


@pytest.mark.parametrize("size", [(3, 5), (1, 6), (1, 1)])
def test_equals_the_equations(size):
    torch.manual_seed(0)
    module = randomised(StripPooling(6))
    x = torch.randn(2, 6, *size, dtype=torch.double)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


@pytest.mark.parametrize("channels", [24, 512])
def test_known_counts(channels):
    assert CARD.params(channels) == 7 * channels**2 + 5 * channels
    assert CARD.macs(channels, 14, 7) == channels**2 * (3 * 14 + 3 * 7 + 98)
