"""EMA against its equations, group by group."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from attnbench_modules.ema import EMA

CARD = EMA.card


def reference(module, image):
    """Each group of channels of one image on its own, as the paper's figure has it."""
    done = []
    for group in image.chunk(module.groups):
        height, width = group.shape[1:]
        weight, bias = module.conv1x1.weight[:, :, 0, 0], module.conv1x1.bias[:, None]
        rows = torch.sigmoid(weight @ group.mean(2) + bias)
        columns = torch.sigmoid(weight @ group.mean(1) + bias)
        gated = group * rows[:, :, None] * columns[:, None, :]
        mean = gated.mean((1, 2), keepdim=True)
        variance = ((gated - mean) ** 2).mean((1, 2), keepdim=True)
        near = (gated - mean) / (variance + 1e-5).sqrt()
        near = near * module.norm.weight[:, None, None] + module.norm.bias[:, None, None]
        wide = F.conv2d(group[None], module.conv3x3.weight, module.conv3x3.bias, padding=1)[0]
        scores = torch.zeros(height, width, dtype=image.dtype)
        for weights, values in ((near, wide), (wide, near)):
            shares = torch.softmax(weights.mean((1, 2)), 0)
            scores = scores + sum(
                share * value for share, value in zip(shares, values, strict=True)
            )
        done.append(group * torch.sigmoid(scores))
    return torch.cat(done)


@pytest.mark.parametrize("groups", [None, 8, 4, 1])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_equals_the_equations(groups, layout):
    torch.manual_seed(0)
    module = EMA(48, groups=groups).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(2, 48, 5, 7, dtype=torch.double).contiguous(memory_format=layout)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


def test_known_counts():
    assert CARD.params(512) == CARD.params(512, groups=32) == 2_624
    assert CARD.params(512, groups=8) == 41_216
    assert CARD.macs(512, 14, 14) == 512 * (16 * 28 + 9 * 16 * 196 + 2 * 196)


@pytest.mark.parametrize(
    ("channels", "groups"), [(512, 32), (24, 24), (144, 24), (40, 20), (37, 1)]
)
def test_groups_are_the_largest_divisor_up_to_thirty_two(channels, groups):
    assert EMA(channels).groups == groups


def test_groups_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="multiple of groups; leave groups out"):
        EMA(144, groups=32)
