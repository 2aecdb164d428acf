"""ECA against its equations, and against timm."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.eca import ECA

CARD = ECA.card


def reference(module, image):
    weights = module.conv.weight[0, 0]
    half = len(weights) // 2
    means = torch.stack([channel.sum() / channel.numel() for channel in image])
    scaled = []
    for c, channel in enumerate(image):
        score = sum(
            weights[half + d] * means[c + d]
            for d in range(-half, half + 1)
            if 0 <= c + d < len(means)
        )
        scaled.append(channel / (1 + (-score).exp()))
    return torch.stack(scaled)


@pytest.mark.parametrize("kernel_size", [None, 1, 3, 7])
def test_equals_the_equations(kernel_size):
    torch.manual_seed(0)
    module = ECA(12, kernel_size=kernel_size).double()
    x = torch.randn(2, 12, 3, 5, dtype=torch.double)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


@pytest.mark.parametrize("channels", [8, 16, 24, 96, 160, 512, 1024])
def test_equals_timm(channels):
    from timm.layers.eca import EcaModule

    ours, theirs = ECA(channels), EcaModule(channels)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, channels, 4, 5)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(("channels", "k"), [(4, 1), (64, 3), (96, 3), (128, 5), (1024, 5)])
def test_kernel_grows_with_the_logarithm_of_the_channels(channels, k):
    assert CARD.params(channels) == ECA(channels).conv.kernel_size[0] == k


def test_known_counts():
    assert CARD.params(512) == 5
    assert CARD.macs(512, 14, 14) == 5 * 512


@pytest.mark.parametrize("kernel_size", [2, 0, -1, 1.5, True])
def test_even_kernels_are_refused(kernel_size):
    with pytest.raises(ValueError, match="odd"):
        ECA(16, kernel_size=kernel_size)
