"""eSE against its equations, and against timm."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.effective_se import EffectiveSE

CARD = EffectiveSE.card


def reference(module, image):
    means = [channel.sum() / channel.numel() for channel in image]
    scaled = []
    for weights, bias, channel in zip(module.fc.weight, module.fc.bias, image, strict=True):
        score = bias + sum(w * mean for w, mean in zip(weights, means, strict=True))
        scaled.append(channel * min(max(score + 3, 0), 6) / 6)
    return torch.stack(scaled)


@pytest.mark.parametrize("spread", [1, 30])
def test_equals_the_equations(spread):
    torch.manual_seed(0)
    module = EffectiveSE(6).double()
    x = spread * torch.randn(2, 6, 3, 5, dtype=torch.double)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


@pytest.mark.parametrize("channels", [16, 24, 96])
def test_equals_timm(channels):
    from timm.layers.squeeze_excite import EffectiveSEModule

    ours, theirs = EffectiveSE(channels), EffectiveSEModule(channels)
    theirs.fc.weight.data.copy_(ours.fc.weight[..., None, None])
    theirs.fc.bias.data.copy_(ours.fc.bias)
    x = 10 * torch.randn(2, channels, 4, 5)
    torch.testing.assert_close(ours(x), theirs(x))


def test_known_counts():
    assert CARD.params(512) == 512 * 512 + 512 == 262_656
    assert CARD.macs(512, 14, 14) == 262_144
    assert CARD.params(960) == 922_560  # as the card's traps say
    assert 2 * 960 * 60 + 60 + 960 == 116_220
