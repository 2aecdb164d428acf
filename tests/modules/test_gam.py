"""GAM against its equations."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.gam import GAM

from .plain import convolved, mixed, normed, randomised

CARD = GAM.card


def sigmoid(values):
    return 1 / (1 + (-values).exp())


def reference(module, image, gate):
    first, _, second = module.channel
    u = torch.empty_like(image)
    for i in range(image.shape[1]):
        for j in range(image.shape[2]):
            value = image[:, i, j]
            u[:, i, j] = value * gate(mixed(second, mixed(first, value).clamp(min=0)))
    near, near_norm, _, far, far_norm = module.spatial
    hidden = normed(near_norm, convolved(near, u)).clamp(min=0)
    return u * sigmoid(normed(far_norm, convolved(far, hidden)))


@pytest.mark.parametrize(
    ("options", "gate"),
    [({}, sigmoid), ({"reduction": 32}, sigmoid), ({"channel_sigmoid": False}, lambda v: v)],
)
@pytest.mark.parametrize("size", [(5, 9), (1, 1)])
def test_equals_the_equations(options, gate, size):
    torch.manual_seed(0)
    module = randomised(GAM(8, **options))
    x = torch.randn(2, 8, *size, dtype=torch.double)
    expected = torch.stack([reference(module, image, gate) for image in x])
    torch.testing.assert_close(module(x), expected)


def test_inference_form_without_the_sigmoid():
    # in double precision: a first gate without bounds drives the second far into saturation
    torch.manual_seed(0)
    module = randomised(GAM(8, channel_sigmoid=False))
    x = torch.randn(2, 8, 5, 9, dtype=torch.double)
    torch.testing.assert_close(module.fuse()(x), module(x))


@pytest.mark.parametrize("channels", [24, 512])
def test_known_counts(channels):
    assert CARD.params(channels) == 25 * channels**2 + 5 * channels
    assert CARD.macs(channels, 14, 14) == 25 * channels**2 * 196
