"""Separable self-attention against its equations, and timm's inside of MobileViT-v2."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.separable import SeparableAttention
from timm.models.mobilevit import LinearSelfAttention
from torch import nn

CARD = SeparableAttention.card


def moved(channels=6, **options):
    torch.manual_seed(0)
    module = SeparableAttention(channels, **options).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def through(layer, vector):
    return layer.weight[:, :, 0, 0] @ vector + layer.bias


def projected(module, vector):
    """Return query, key and value of one place."""
    parts = through(module.project, vector)
    return parts[0], *parts[1:].chunk(2)


def reference(module, image):
    """Return W(relu(v) * c) of one image, place by place."""
    places = [(i, j) for i in range(image.shape[1]) for j in range(image.shape[2])]
    parts = {(i, j): projected(module, image[:, i, j]) for i, j in places}
    weights = {place: query.exp() for place, (query, _, _) in parts.items()}
    keys = {place: key for place, (_, key, _) in parts.items()}
    context = sum(weights[place] * keys[place] for place in places) / sum(weights.values())
    y = torch.empty_like(image)
    for i, j in places:
        value = parts[i, j][2].clamp(min=0)
        y[:, i, j] = through(module.out, value * context)
    return y


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("size", [(3, 4), (1, 1)])
def test_equals_the_equations(residual, size):
    module = moved(residual=residual)
    x = torch.randn(2, 6, *size, dtype=torch.double)
    expected = torch.stack([reference(module, image) for image in x])
    torch.testing.assert_close(module(x), x + expected if residual else expected)


def test_is_timms_for_patches_of_one():
    ours, theirs = moved(16, residual=False), LinearSelfAttention(16).double()
    for name in ("weight", "bias"):
        getattr(theirs.qkv_proj, name).data = getattr(ours.project, name).detach()
        getattr(theirs.out_proj, name).data = getattr(ours.out, name).detach()
    x = torch.randn(2, 16, 5, 7, dtype=torch.double)
    tokens = x.flatten(2).unsqueeze(2)  # (B, C, 1, N)
    torch.testing.assert_close(ours(x), theirs(tokens).reshape(x.shape))


def test_inference_never_computes_the_keys_of_all_positions():
    fused = SeparableAttention(16).fuse()
    maps = []
    for layer in (fused.key, fused.value):
        layer.register_forward_hook(lambda _layer, inputs, _output: maps.append(inputs[0].ndim))
    fused(torch.randn(2, 16, 5, 7))
    assert maps == [2, 4]


def test_known_counts():
    c, n = 512, 196
    assert CARD.params(c) == 3 * c**2 + 4 * c + 1 == 788_481
    assert CARD.macs(c, 14, 14) == (3 * c**2 + 2 * c) * n == 154_341_376
    assert sum(p.numel() for p in LinearSelfAttention(c).parameters()) == CARD.params(c)
