"""SimAM against its equation."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.simam import SimAM

CARD = SimAM.card


def reference(channel, e_lambda):
    mean = channel.sum() / channel.numel()
    variance = ((channel - mean) ** 2).sum() / (channel.numel() - 1)
    energy = (channel - mean) ** 2 / (4 * (variance + e_lambda)) + 0.5
    return channel / (1 + (-energy).exp())


@pytest.mark.parametrize("options", [{}, {"e_lambda": 0.1}])
def test_equals_the_equation(options):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 5, dtype=torch.double)
    expected = [[reference(c, options.get("e_lambda", 1e-4)) for c in image] for image in x]
    torch.testing.assert_close(
        SimAM(3, **options)(x), torch.stack([torch.stack(image) for image in expected])
    )


def test_a_single_position_is_scaled_by_a_constant():
    x = torch.randn(2, 3, 1, 1)
    torch.testing.assert_close(SimAM(3)(x), x * torch.sigmoid(torch.tensor(0.5)))


def test_a_constant_channel_is_scaled_by_a_constant():
    x = torch.full((1, 3, 4, 4), 2.0, requires_grad=True)
    y = SimAM(3)(x)
    y.sum().backward()
    torch.testing.assert_close(y.detach(), x.detach() * torch.sigmoid(torch.tensor(0.5)))
    assert x.grad.isfinite().all()


def test_has_no_parameters():
    assert CARD.params(512) == CARD.macs(512, 14, 14) == 0
    assert not list(SimAM(512).parameters())


@pytest.mark.parametrize("e_lambda", [0.0, -1.0])
def test_no_lambda_is_refused(e_lambda):
    with pytest.raises(ValueError, match="above 0"):
        SimAM(16, e_lambda=e_lambda)
