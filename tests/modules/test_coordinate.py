"""Coordinate attention against its equations, and against timm."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.coordinate import CoordinateAttention

CARD = CoordinateAttention.card


def matrix(layer):
    return layer.weight[:, :, 0, 0], layer.bias


def reference(module, image):
    """One image in eval: each row and each column goes through the layers on its own."""
    (w1, b1), (wh, bh), (ww, bw) = (
        matrix(layer) for layer in (module.conv1, module.conv_h, module.conv_w)
    )
    norm = module.bn1

    def shared(vector):
        z = w1 @ vector + b1
        z = (z - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
        return z * (z + 3).clamp(0, 6) / 6

    y = image.clone()
    for i in range(image.shape[1]):
        gate = 1 / (1 + (-(wh @ shared(image[:, i, :].sum(1) / image.shape[2]) + bh)).exp())
        y[:, i, :] *= gate[:, None]
    for j in range(image.shape[2]):
        gate = 1 / (1 + (-(ww @ shared(image[:, :, j].sum(1) / image.shape[1]) + bw)).exp())
        y[:, :, j] *= gate[:, None]
    return y


def randomised(module):
    module.double().eval()
    with torch.no_grad():
        module.bn1.running_mean.normal_()
        module.bn1.running_var.uniform_(0.5, 2)
        module.bn1.weight.normal_()
        module.bn1.bias.normal_()
    return module


@pytest.mark.parametrize("reduction", [32, 2])
def test_equals_the_equations(reduction):
    torch.manual_seed(0)
    module = randomised(CoordinateAttention(24, reduction=reduction))
    x = torch.randn(2, 24, 3, 5, dtype=torch.double)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


@pytest.mark.parametrize("channels", [16, 96, 512])
def test_equals_timm_with_biases_and_the_same_hidden_channels(channels):
    from timm.layers.coord_attn import CoordAttn

    torch.manual_seed(0)
    ours = CoordinateAttention(channels)
    theirs = CoordAttn(channels, rd_channels=ours.conv1.out_channels, bias=True)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, channels, 6, 5)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(("channels", "hidden"), [(16, 8), (256, 8), (288, 9), (960, 30)])
def test_hidden_channels_are_never_fewer_than_eight(channels, hidden):
    assert CoordinateAttention(channels).conv1.out_channels == hidden


def test_known_counts():
    assert CARD.params(512) == 25_648
    assert CARD.macs(512, 14, 14) == 2 * 512 * 16 * 28
