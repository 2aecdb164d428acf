"""Criss-cross attention against the sum over each position's row and column."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.ccnet import CrissCross
from torch import nn

CARD = CrissCross.card


def moved(channels=6, **options):
    torch.manual_seed(0)
    module = CrissCross(channels, **options).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def once(module, image):
    height, width = image.shape[1:]
    query, key, value = (
        {
            (i, j): layer.weight[:, :, 0, 0] @ image[:, i, j] + layer.bias
            for i in range(height)
            for j in range(width)
        }
        for layer in (module.query, module.key, module.value)
    )
    y = image.clone()
    for i, j in query:
        path = {(i, w) for w in range(width)} | {(h, j) for h in range(height)}
        assert len(path) == height + width - 1
        weights = {place: (query[i, j] @ key[place]).exp() for place in path}
        total = sum(weights.values())
        y[:, i, j] += module.gamma * sum(weights[place] * value[place] for place in path) / total
    return y


@pytest.mark.parametrize("size", [(3, 4), (5, 2), (1, 4), (4, 1), (1, 1)])
@pytest.mark.parametrize("recurrence", [1, 2])
def test_equals_the_sum_over_the_criss_cross(size, recurrence):
    module = moved(recurrence=recurrence)
    x = torch.randn(2, 6, *size, dtype=torch.double)
    expected = x
    for _ in range(recurrence):
        expected = torch.stack([once(module, image) for image in expected])
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize(("recurrence", "everywhere"), [(1, False), (2, True)])
def test_twice_reaches_the_whole_map(recurrence, everywhere):
    module = moved(recurrence=recurrence)
    x = torch.randn(1, 6, 5, 7, dtype=torch.double)
    other = x.clone()
    other[..., 1, 2] += 1
    changed = (module(x) != module(other)).any(1)[0]
    assert bool(changed.all()) is everywhere
    assert changed[1].all() and changed[:, 2].all()


def test_starts_as_the_identity_and_can_leave_it():
    module = CrissCross(16)
    x = torch.randn(2, 16, 5, 5)
    assert torch.equal(module(x), x)
    (module(x) ** 3).sum().backward()
    assert module.gamma.grad.abs() > 0


def test_known_counts():
    c, n = 512, 196
    assert CARD.params(c) == 1.25 * c**2 + 1.25 * c + 1 == 328_321
    once = 1.25 * c**2 * n + 1.125 * c * n * (14 + 14)
    assert CARD.macs(c, 14, 14, recurrence=1) == once == CARD.macs(c, 14, 14) / 2
