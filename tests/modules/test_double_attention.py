"""Double attention against the paper's two steps, written position by position."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.double_attention import DoubleAttention

CARD = DoubleAttention.card


def project(conv, image):
    """A 1x1 convolution of (C, N), as an equation."""
    return torch.einsum("dc,cn->dn", conv.weight[:, :, 0, 0], image) + conv.bias[:, None]


def reference(module, image, residual):
    flat = image.flatten(1)  # (C, N)
    features, where, which = (
        project(conv, flat) for conv in (module.features, module.gather, module.distribute)
    )
    where, which = where.exp(), which.exp()
    z = torch.zeros_like(features)
    for descriptor in range(features.shape[0]):
        share = where[descriptor] / where[descriptor].sum()  # over the positions
        gathered = sum(share[n] * features[:, n] for n in range(flat.shape[1]))
        for n in range(flat.shape[1]):
            z[:, n] += which[descriptor, n] / which[:, n].sum() * gathered
    y = project(module.out, z).reshape(image.shape)
    return image + y if residual else y


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("reduction", [2, 4, 16])
def test_equals_gather_and_distribute(residual, reduction):
    torch.manual_seed(0)
    module = DoubleAttention(12, reduction=reduction, residual=residual).double()
    x = torch.randn(2, 12, 3, 5, dtype=torch.double)
    expected = torch.stack([reference(module, image, residual) for image in x])
    torch.testing.assert_close(module(x), expected)


def test_known_counts():
    assert CARD.params(512, reduction=8) == 131_776
    assert CARD.params(512) == 263_040
    n = 196
    for reduction, t, macs in ((8, 64, 27_295_744), (4, 128, 57_802_752)):
        assert CARD.macs(512, 14, 14, reduction=reduction) == macs
        assert macs == 4 * 512 * t * n + 2 * t * t * n
    assert CARD.printed.params(512, reduction=8) == 65_536
    assert CARD.printed.macs(512, 14, 14, reduction=8) == 12_845_056


def test_bad_reduction_is_refused():
    with pytest.raises(ValueError, match=r"DoubleAttention\(channels=16, reduction=-1"):
        DoubleAttention(16, reduction=-1)
