"""The gated channel transformation against its equations."""

from __future__ import annotations

import math

import pytest
import torch
from attnbench_modules.gct import GCT

CARD = GCT.card


def reference(module, image, mode, eps):
    alpha, gamma, beta = (p.flatten().tolist() for p in (module.alpha, module.gamma, module.beta))
    planes = image.flatten(1).tolist()
    if mode == "l2":
        s = [a * math.sqrt(sum(v * v for v in p) + eps) for a, p in zip(alpha, planes, strict=True)]
        common = math.sqrt(sum(one * one for one in s) / len(s) + eps)
    else:
        s = [a * sum(abs(v) for v in p) for a, p in zip(alpha, planes, strict=True)]
        common = sum(abs(one) for one in s) / len(s) + eps
    gates = [1 + math.tanh(gamma[c] * s[c] / common + beta[c]) for c in range(len(s))]
    return torch.stack([gate * channel for gate, channel in zip(gates, image, strict=True)])


@pytest.mark.parametrize("mode", ["l2", "l1"])
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_equals_the_equations(mode, eps):
    torch.manual_seed(0)
    module = GCT(6, mode=mode, eps=eps).double()
    for parameter in module.parameters():
        parameter.data.normal_()
    x = torch.randn(3, 6, 2, 5, dtype=torch.double)
    expected = torch.stack([reference(module, image, mode, eps) for image in x])
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("mode", ["l2", "l1"])
def test_starts_as_the_identity(mode):
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(GCT(8, mode=mode)(x), x)


def test_a_positive_gamma_lets_the_strong_win():
    module = GCT(2)
    module.gamma.data.fill_(1)
    x = torch.ones(1, 2, 3, 3) * torch.tensor([5.0, 1.0])[:, None, None]
    strong, weak = (module(x) / x)[0, :, 0, 0].tolist()
    assert strong > weak > 1


def test_known_counts():
    assert CARD.params(512) == 1536
    assert CARD.macs(512, 14, 14) == 0


@pytest.mark.parametrize("eps", [0, -1.0])
def test_no_epsilon_is_refused(eps):
    with pytest.raises(ValueError, match="above 0"):
        GCT(16, eps=eps)
