"""FCA against its equations: cosines in plain loops."""

from __future__ import annotations

import math

import pytest
import torch
from attnbench_modules.fca import FCA, FREQUENCIES
from torch.nn import functional as F

CARD = FCA.card


def weight(u, v, a, b, height, width):
    value = math.cos(math.pi * u * (a + 0.5) / height) * math.cos(math.pi * v * (b + 0.5) / width)
    for frequency, side in ((u, height), (v, width)):
        value *= math.sqrt((2 if frequency else 1) / side)
    return value


def reference(module, image, size, frequencies):
    """image: (C, h, w) of the size of the cosines, C a multiple of the frequencies."""
    channels, (height, width) = len(image), size
    part = channels // frequencies
    spectrum = []
    for c in range(channels):
        u, v = FREQUENCIES[c // part]
        u, v = u * (height // 7), v * (width // 7)
        spectrum.append(
            sum(
                float(image[c, a, b]) * weight(u, v, a, b, height, width)
                for a in range(height)
                for b in range(width)
            )
        )
    z = torch.tensor(spectrum, dtype=torch.double)
    return module.excite.weight @ (module.squeeze.weight @ z).relu()


@pytest.mark.parametrize("size", [(7, 7), (14, 14), (8, 21)])
@pytest.mark.parametrize(("channels", "frequencies"), [(32, 16), (15, 5), (4, 1)])
def test_equals_the_equations(size, channels, frequencies):
    torch.manual_seed(0)
    module = FCA(channels, feature_size=size, reduction=2, frequencies=frequencies).double()
    # the cosines in double precision too: the buffer was rounded when the module was built
    x = torch.randn(1, channels, *size, dtype=torch.double)
    gate = reference(module, x[0], size, frequencies).sigmoid()
    torch.testing.assert_close(module(x), x * gate[:, None, None], rtol=1e-5, atol=1e-6)


def test_maps_of_another_size_are_pooled_first():
    module = FCA(32).double()  # 7x7
    x = torch.randn(2, 32, 14, 10, dtype=torch.double)
    pooled = F.adaptive_avg_pool2d(x, 7)
    ours, coarse = module(x) / x, module(pooled) / pooled
    torch.testing.assert_close(ours[:, :, 0, 0], coarse[:, :, 0, 0])


@pytest.mark.parametrize("size", [(4, 7), (1, 1), (2, 9)])
def test_small_maps_are_stretched(size):
    torch.manual_seed(0)
    small = FCA(32, feature_size=size).double()
    whole = FCA(32, feature_size=tuple(max(7, side) for side in size)).double()
    whole.load_state_dict(small.state_dict())
    x = torch.randn(2, 32, *size, dtype=torch.double)
    stretched = F.adaptive_avg_pool2d(x, whole.size)
    ours, theirs = small(x) / x, whole(stretched) / stretched
    torch.testing.assert_close(ours[..., 0, 0], theirs[..., 0, 0], rtol=1e-5, atol=1e-6)


def test_any_number_of_channels_is_split_evenly():
    planes = FCA(24).basis[0]
    kinds = [int((planes == plane).flatten(1).all(1).sum()) for plane in planes]
    assert set(kinds) == {1, 2}  # 24 channels, 16 frequencies
    assert len(planes.flatten(1).unique(dim=0)) == 16


def test_frequencies_are_orthonormal_on_7x7():
    planes = FCA(16).basis[0].flatten(1).double()
    torch.testing.assert_close(planes @ planes.T, torch.eye(16).double(), rtol=0, atol=1e-6)


def test_known_counts():
    assert CARD.params(512) == CARD.macs(512, 14, 14) == 2 * 512 * 32
    assert "basis" not in FCA(32).state_dict()


@pytest.mark.parametrize("frequencies", [0, 17, 2.5])
def test_other_numbers_of_frequencies_are_refused(frequencies):
    with pytest.raises(ValueError, match="frequencies must be"):
        FCA(32, frequencies=frequencies)
