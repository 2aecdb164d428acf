"""PSA (EPSANet) against its equations."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.psa import PSA

from .plain import convolved, mixed

CARD = PSA.card


def reference(module, image):
    """Branch by branch, the smallest kernel first, as the paper counts them."""
    branches = sorted(module.branches, key=lambda layer: layer.kernel_size)
    features = [convolved(layer, image) for layer in branches]
    scores = []
    for feature in features:
        mean = feature.sum((1, 2)) / feature[0].numel()
        score = mixed(module.excite, mixed(module.squeeze, mean).clamp(min=0))
        scores.append((1 / (1 + (-score).exp())).exp())
    shares = [score / sum(scores) for score in scores]
    weighed = [
        share[:, None, None] * feature for share, feature in zip(shares, features, strict=True)
    ]
    return torch.cat(weighed[::-1])


@pytest.mark.parametrize(("channels", "reduction"), [(16, 16), (24, 2), (4, 16)])
@pytest.mark.parametrize("size", [(5, 11), (1, 1)])
def test_equals_the_equations(channels, reduction, size):
    torch.manual_seed(0)
    module = PSA(channels, reduction=reduction).double()
    x = torch.randn(2, channels, *size, dtype=torch.double)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


@pytest.mark.parametrize(
    ("channels", "groups"),
    [(512, [1, 4, 8, 16]), (64, [1, 4, 8, 16]), (16, [1, 4, 4, 4]), (24, [1, 3, 6, 6])],
)
def test_groups_are_the_originals_where_they_fit(channels, groups):
    branches = {layer.kernel_size[0]: layer.groups for layer in PSA(channels).branches}
    assert [branches[kernel] for kernel in (3, 5, 7, 9)] == groups


@pytest.mark.parametrize("channels", [256, 512])
def test_known_counts(channels):
    convolutions = 6.609375 * channels**2
    choice = channels**2 / 128 + channels / 64 + channels / 4
    assert CARD.params(channels) == convolutions + choice
    assert CARD.macs(channels, 14, 14) == convolutions * 196 + channels**2 / 32


def test_512_channels_are_the_size_counted_on_the_original():
    assert CARD.params(512) == 1_734_792


def test_channels_that_cannot_be_quartered_are_refused():
    with pytest.raises(ValueError, match=r"PSA\(channels=18.*multiple of 4"):
        PSA(18)
