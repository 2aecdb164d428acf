"""The global context block against its equations and timm's."""

from __future__ import annotations

import math

import pytest
import torch
from attnbench_modules.gc import GlobalContext
from timm.layers import get_attn
from torch import nn

CARD = GlobalContext.card


def moved(channels=6, **options):
    torch.manual_seed(0)
    module = GlobalContext(channels, **options).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def layer(conv, vector):
    weights, biases = conv.weight.flatten(1).tolist(), conv.bias.tolist()
    return [
        sum(w * v for w, v in zip(row, vector, strict=True)) + bias
        for row, bias in zip(weights, biases, strict=True)
    ]


def reference(module, image, pooling="attention", fusion="add"):
    vectors = [
        image[:, i, j].tolist() for i in range(image.shape[1]) for j in range(image.shape[2])
    ]
    shares = [1.0] * len(vectors)
    if pooling == "attention":
        shares = [math.exp(layer(module.mask, vector)[0]) for vector in vectors]
    context = [
        sum(s * v[c] for s, v in zip(shares, vectors, strict=True)) / sum(shares)
        for c in range(image.shape[0])
    ]
    hidden = layer(module.squeeze, context)
    mean = sum(hidden) / len(hidden)
    deviation = math.sqrt(sum((h - mean) ** 2 for h in hidden) / len(hidden) + 1e-5)
    scale, shift = module.norm.weight.flatten().tolist(), module.norm.bias.flatten().tolist()
    normed = [
        max(0.0, (h - mean) / deviation * w + b)
        for h, w, b in zip(hidden, scale, shift, strict=True)
    ]
    term = torch.tensor(layer(module.excite, normed), dtype=torch.double)[:, None, None]
    return image + term if fusion == "add" else image * term.sigmoid()


@pytest.mark.parametrize("options", [{}, {"pooling": "mean"}, {"fusion": "scale"}])
def test_equals_the_equations(options):
    module = moved(**options)
    x = torch.randn(2, 6, 3, 4, dtype=torch.double)
    expected = torch.stack([reference(module, image, **options) for image in x])
    torch.testing.assert_close(module(x), expected)


def test_starts_as_the_identity_and_can_leave_it():
    module = GlobalContext(16)
    x = torch.randn(2, 16, 5, 5)
    assert torch.equal(module(x), x)
    (module(x) ** 3).sum().backward()
    assert module.excite.weight.grad.abs().max() > 0


@pytest.mark.parametrize(("name", "fusion"), [("gca", "add"), ("gc", "scale")])
def test_is_timms_at_the_same_width(name, fusion):
    ours = moved(64, fusion=fusion)
    theirs = get_attn(name)(64, rd_channels=8).double()
    theirs.conv_attn.load_state_dict(ours.mask.state_dict())
    mlp = theirs.mlp_add if name == "gca" else theirs.mlp_scale
    for own, other in ((ours.squeeze, mlp.fc1), (ours.excite, mlp.fc2)):
        other.load_state_dict(own.state_dict())
    mlp.norm.load_state_dict({k: v.flatten() for k, v in ours.norm.state_dict().items()})
    x = torch.randn(2, 64, 5, 7, dtype=torch.double)
    assert (ours(x) - theirs(x)).abs().max() > 1e-9  # eps
    mlp.norm.eps = 1e-5
    torch.testing.assert_close(ours(x), theirs(x))


def test_with_one_hidden_channel_the_context_does_not_come_through():
    module = moved(16, minimum=1)
    x = torch.randn(2, 16, 5, 5, dtype=torch.double)
    term = module(x) - x
    torch.testing.assert_close(term, term[:1, :, :1, :1].expand_as(x))


def test_known_counts():
    assert CARD.params(512) == 33_889
    assert CARD.macs(512, 14, 14) == 2 * 512 * 32 + 2 * 512 * 196 == 233_472
    widths = {c: GlobalContext(c).squeeze.out_channels for c in (16, 96, 160, 512)}
    assert widths == {16: 8, 96: 8, 160: 10, 512: 32}
    assert GlobalContext(64, minimum=1).squeeze.out_channels == 4
