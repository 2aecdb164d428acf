"""CoT against its equations."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.cot import CoT

from .plain import convolved, mixed, normed, randomised

CARD = CoT.card


def group_normed(norm, values):
    """Norm each set of weights over its taps and all positions."""
    sets = values.reshape(norm.num_groups, -1)
    mean = sets.sum(1, keepdim=True) / sets.shape[1]
    variance = (sets - mean).square().sum(1, keepdim=True) / sets.shape[1]
    plain = ((sets - mean) / (variance + norm.eps).sqrt()).reshape(values.shape)
    return plain * norm.weight[:, None, None] + norm.bias[:, None, None]


def summed(values, weights, side):
    """Sum up the neighbours of one position of one channel at a time."""
    channels, height, width = values.shape
    sets = weights.reshape(channels // 8, side, side, height, width)
    sums = torch.zeros_like(values)
    for i in range(height):
        for j in range(width):
            for a in range(side):
                for b in range(side):
                    row, column = i + a - side // 2, j + b - side // 2
                    if 0 <= row < height and 0 <= column < width:
                        for c in range(channels):
                            weight = sets[c % (channels // 8), a, b, i, j]
                            sums[c, i, j] += weight * values[c, row, column]
    return sums


def reference(module, image):
    keys = normed(module.key[1], convolved(module.key[0], image)).clamp(min=0)
    first, norm, _, second, group_norm = module.embed
    hidden = normed(norm, convolved(first, torch.cat([image, keys]))).clamp(min=0)
    weights = group_normed(group_norm, mixed(second, hidden))
    values = normed(module.value[1], convolved(module.value[0], image))
    sums = normed(module.norm[0], summed(values, weights, module.kernel_size))
    sums = sums / (1 + (-sums).exp())
    pooled = (sums + keys).sum((1, 2)) / image[0].numel()
    hidden = normed(module.squeeze[1], mixed(module.squeeze[0], pooled)).clamp(min=0)
    scores = mixed(module.select, hidden).exp()
    shares = [score / (scores[0::2] + scores[1::2]) for score in (scores[0::2], scores[1::2])]
    return shares[0][:, None, None] * sums + shares[1][:, None, None] * keys


@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("size", [(3, 4), (1, 1)])
def test_equals_the_equations(kernel_size, size):
    torch.manual_seed(0)
    module = randomised(CoT(16, kernel_size=kernel_size))
    x = torch.randn(2, 16, *size, dtype=torch.double)
    with torch.no_grad():
        expected = torch.stack([reference(module, image) for image in x])
        torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize(("channels", "hidden"), [(16, 32), (64, 32), (512, 256)])
def test_known_counts(channels, hidden):
    choice = 3 * channels * hidden
    norms_and_biases = 12.375 * channels + 3 * hidden
    assert CARD.params(channels) == 4.8125 * channels**2 + choice + norms_and_biases
    assert CARD.macs(channels, 14, 14) == 4.8125 * channels**2 * 196 + choice


def test_channels_that_cannot_share_are_refused():
    with pytest.raises(ValueError, match=r"CoT\(channels=20.*multiple of 8"):
        CoT(20)
