"""NAM against its equations, and the gradient that the original holds back."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.nam import NAM

CARD = NAM.card


def moved(channels, **options):
    torch.manual_seed(0)
    module = NAM(channels, **options).double()
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 2) if "running_var" in name else tensor.normal_()
    return module


def reference(module, x, weight, shares_from):
    mean, variance = module.norm.running_mean, module.norm.running_var
    if module.training:
        values = x.transpose(0, 1).flatten(1)
        mean, variance = values.mean(1), values.var(1, unbiased=False)
    total = sum(abs(one) for one in shares_from)
    planes = [
        x[:, c]
        * (
            abs(shares_from[c])
            / total
            * ((x[:, c] - mean[c]) / (variance[c] + 1e-5).sqrt() * weight[c] + module.norm.bias[c])
        ).sigmoid()
        for c in range(x.shape[1])
    ]
    return torch.stack(planes, dim=1)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("detached", [True, False])
def test_equals_the_equations_and_their_gradient(training, detached):
    module = moved(5, detached=detached).train(training)
    x = torch.randn(3, 5, 4, 3, dtype=torch.double)
    weight = module.norm.weight.detach().clone().requires_grad_()
    expected = reference(module, x, weight, weight.detach() if detached else weight)
    (expected**2).sum().backward()
    actual = module(x)
    (actual**2).sum().backward()
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(module.norm.weight.grad, weight.grad)


def test_starts_as_nearly_one_half():
    x = torch.randn(2, 128, 7, 7)
    gate = NAM(128)(x) / x
    assert (gate - 0.5).abs().max() < 0.02


def test_known_counts():
    assert CARD.params(512) == 1024
    assert CARD.macs(512, 14, 14) == 0
