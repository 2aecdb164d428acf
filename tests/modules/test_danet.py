"""DANet's two attentions against the paper's sums."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.danet import DANetChannel, DANetPosition
from torch import nn


def moved(cls, channels=6, **options):
    torch.manual_seed(0)
    module = cls(channels, **options).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def vectors(image):
    """Every position's channels, row by row."""
    return [image[:, i, j] for i in range(image.shape[1]) for j in range(image.shape[2])]


def mixed(scores, values):
    weights = [score.exp() for score in scores]
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)


def by_position(module, image):
    query, key, value = (
        [layer.weight[:, :, 0, 0] @ vector + layer.bias for vector in vectors(image)]
        for layer in (module.query, module.key, module.value)
    )
    gathered = [mixed([q @ k for k in key], value) for q in query]
    return image + module.gamma * torch.stack(gathered, 1).reshape(image.shape)


def by_channel(module, image, sign):
    rows = list(image.flatten(1))
    gathered = [mixed([sign * (row @ other) for other in rows], rows) for row in rows]
    return image + module.gamma * torch.stack(gathered).reshape(image.shape)


@pytest.mark.parametrize("size", [(3, 4), (1, 5), (1, 1)])
@pytest.mark.parametrize("reduction", [8, 2])
def test_position_equals_the_sum_over_pairs(size, reduction):
    module = moved(DANetPosition, reduction=reduction)
    x = torch.randn(2, 6, *size, dtype=torch.double)
    expected = torch.stack([by_position(module, image) for image in x])
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("size", [(3, 4), (1, 5), (1, 1)])
@pytest.mark.parametrize(("options", "sign"), [({}, -1), ({"reverse": False}, 1)])
def test_channel_equals_the_sum_over_pairs(size, options, sign):
    module = moved(DANetChannel, **options)
    x = torch.randn(2, 6, *size, dtype=torch.double)
    expected = torch.stack([by_channel(module, image, sign) for image in x])
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_blockwise_equals_the_whole_matrix(layout):
    module = moved(DANetPosition, 16, reduction=4).float().eval()
    x = torch.randn(2, 16, 24, 22).contiguous(memory_format=layout)
    torch.testing.assert_close(module.fuse()(x), module(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cls", [DANetPosition, DANetChannel])
def test_starts_as_the_identity_and_can_leave_it(cls):
    module = cls(16)
    x = torch.randn(2, 16, 5, 5)
    assert torch.equal(module(x), x)
    (module(x) ** 3).sum().backward()
    assert module.gamma.grad.abs() > 0


def test_known_counts():
    position, channel = DANetPosition.card, DANetChannel.card
    c, n = 512, 196
    assert position.params(c) == 1.25 * c**2 + 1.25 * c + 1 == 328_321
    assert position.macs(c, 14, 14) == 1.25 * c**2 * n + 1.125 * c * n**2 == 86_352_896
    assert channel.params(c) == 1
    assert channel.macs(c, 14, 14) == 2 * c**2 * n == 102_760_448
