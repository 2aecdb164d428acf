"""LKA against its equations."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.lka import LKA

from .plain import convolved, mixed

CARD = LKA.card


def reference(module, image):
    return image * mixed(module.mix, convolved(module.far, convolved(module.near, image)))


@pytest.mark.parametrize("size", [(6, 23), (1, 1)])
def test_equals_the_equations(size):
    torch.manual_seed(0)
    module = LKA(6).double()
    x = torch.randn(2, 6, *size, dtype=torch.double)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


def test_reaches_eleven_positions_in_every_direction():
    module = LKA(1).double()
    for parameter in module.parameters():
        torch.nn.init.constant_(parameter, 1)
    x = torch.zeros(1, 1, 31, 31, dtype=torch.double, requires_grad=True)
    gate = module.mix(module.far(module.near(x)))
    gate[0, 0, 15, 15].backward()
    seen = x.grad[0, 0].nonzero()
    assert (seen.min().item(), seen.max().item()) == (15 - 11, 15 + 11)
    assert len(seen) == 23 * 23


def test_outer_taps_see_nothing_on_small_maps():
    module = LKA(4)
    module(torch.randn(1, 4, 7, 7)).sum().backward()
    touched = module.far.weight.grad.abs().amax((0, 1)) > 0
    assert touched[1:-1, 1:-1].all()
    assert touched.sum() == 25


def test_known_counts():
    assert CARD.params(512) == 301_568
    assert CARD.macs(512, 14, 14) == (512**2 + 74 * 512) * 196
