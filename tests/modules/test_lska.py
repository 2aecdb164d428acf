"""LSKA against its equations, and its kernels against the sizes that they stand for."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.lska import KERNELS, LSKA

from .plain import convolved, mixed

CARD = LSKA.card


def reference(module, image):
    strips = image
    for layer in (*module.near, *module.far):
        strips = convolved(layer, strips)
    return image * mixed(module.mix, strips)


@pytest.mark.parametrize("kernel_size", KERNELS)
@pytest.mark.parametrize("size", [(5, 9), (1, 1)])
def test_equals_the_equations(kernel_size, size):
    torch.manual_seed(0)
    module = LSKA(6, kernel_size=kernel_size).double()
    x = torch.randn(2, 6, *size, dtype=torch.double)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


@pytest.mark.parametrize(
    ("kernel_size", "factor"), [(7, 17), (11, 21), (23, 29), (35, 37), (41, 41), (53, 49)]
)
def test_known_counts(kernel_size, factor):
    assert CARD.params(512, kernel_size=kernel_size) == 512**2 + factor * 512
    macs = (512**2 + (factor - 5) * 512) * 196
    assert CARD.macs(512, 14, 14, kernel_size=kernel_size) == macs


def test_23_reaches_as_far_as_lka():
    near, far, dilation = KERNELS[23]
    assert near + (far - 1) * dilation == 23


@pytest.mark.parametrize("kernel_size", [21, 22, True, 23.0])
def test_other_sizes_are_refused(kernel_size):
    with pytest.raises(ValueError, match=r"7, 11, 23, 35, 41, 53"):
        LSKA(8, kernel_size=kernel_size)
