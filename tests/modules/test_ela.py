"""ELA against its equations."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.ela import ELA

CARD = ELA.card


def gates(module, strip):
    """(C, L) -> (C, L): taps, then the norm over whole groups, then a sigmoid."""
    channels, length = strip.shape
    weights = module.conv.weight.reshape(channels, -1)
    half = weights.shape[1] // 2
    z = torch.zeros_like(strip)
    for i in range(length):
        for d in range(-half, half + 1):
            if 0 <= i + d < length:
                z[:, i] += weights[:, half + d] * strip[:, i + d]
    grouped = z.reshape(module.norm.num_groups, -1)
    mean = grouped.mean(1, keepdim=True)
    variance = ((grouped - mean) ** 2).mean(1, keepdim=True)
    z = ((grouped - mean) / (variance + 1e-5).sqrt()).reshape(channels, length)
    z = z * module.norm.weight[:, None] + module.norm.bias[:, None]
    return 1 / (1 + (-z).exp())


def reference(module, image):
    rows, columns = gates(module, image.mean(2)), gates(module, image.mean(1))
    return image * rows[:, :, None] * columns[:, None, :]


@pytest.mark.parametrize("options", [{}, {"kernel_size": 3, "norm_groups": 3}])
def test_equals_the_equations(options):
    torch.manual_seed(0)
    module = ELA(24, **options).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 24, 6, 9, dtype=torch.double)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


def test_known_counts():
    assert CARD.params(512) == 9 * 512
    assert CARD.params(512, kernel_size=5) == 7 * 512
    assert CARD.macs(512, 14, 14) == 7 * 512 * 28


@pytest.mark.parametrize(
    ("channels", "groups"), [(512, 16), (160, 16), (24, 12), (40, 10), (120, 15), (7, 7), (17, 1)]
)
def test_the_norm_has_the_largest_divisor_up_to_sixteen(channels, groups):
    assert ELA(channels).norm.num_groups == groups


def test_groups_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="multiple of norm_groups; leave norm_groups out"):
        ELA(24, norm_groups=16)


def test_a_single_position_of_a_single_image_works():
    module = ELA(16)
    x = torch.randn(1, 16, 1, 1)
    torch.testing.assert_close(module(x), x * 0.25)  # normalised to the norm's bias, which is 0
