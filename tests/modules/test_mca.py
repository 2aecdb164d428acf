"""MCA against its equations."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.mca import MCA

CARD = MCA.card


def gates(layer, slices):
    """One gate a slice of the map, from its mean and its standard deviation."""
    a, b = torch.sigmoid(layer.weight)
    mixed = [(0.5 + a) * piece.mean() + (0.5 + b) * piece.std() for piece in slices]
    weights = layer.conv.weight[0, 0]
    half = len(weights) // 2
    return [
        torch.sigmoid(
            sum(
                weights[half + d] * mixed[i + d]
                for d in range(-half, half + 1)
                if 0 <= i + d < len(mixed)
            )
        )
        for i in range(len(mixed))
    ]


def reference(module, image):
    branches = []
    for layer, dim in ((module.channels, 0), (module.rows, 1), (module.columns, 2)):
        if layer is not None:
            pieces = image.unbind(dim)
            scaled = [p * g for p, g in zip(pieces, gates(layer, pieces), strict=True)]
            branches.append(torch.stack(scaled, dim))
    return sum(branches) / len(branches)


@pytest.mark.parametrize("options", [{}, {"kernel_size": 7}, {"channel": False}])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_equals_the_equations(options, layout):
    torch.manual_seed(0)
    module = MCA(64, **options).double()
    x = torch.randn(2, 64, 3, 5, dtype=torch.double).contiguous(memory_format=layout)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


def test_known_counts():
    assert CARD.params(512) == 17
    assert CARD.params(64) == 15
    assert CARD.macs(512, 14, 14) == 3 * 28 + 5 * 512


@pytest.mark.parametrize(("channels", "k"), [(1, 1), (2, 1), (3, 1), (16, 1), (64, 3), (512, 5)])
def test_kernel_along_the_channels(channels, k):
    assert MCA(channels).channels.conv.kernel_size == (k,)


def test_a_single_position_has_no_deviation():
    module, x = MCA(16), torch.randn(2, 16, 1, 1)
    assert module(x).isfinite().all()


def test_a_constant_channel_has_a_gradient():
    x = torch.zeros(1, 16, 4, 4, requires_grad=True)
    MCA(16)(x).sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad.abs().min() > 0
