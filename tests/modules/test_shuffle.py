"""Shuffle attention against its equations, group by group."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.shuffle import ShuffleAttention

CARD = ShuffleAttention.card


def reference(module, image):
    done = []
    for group in image.chunk(module.groups):
        first, second = group.chunk(2)
        for c, channel in enumerate(first):
            score = module.channel_weight[c] * channel.mean() + module.channel_bias[c]
            done.append(channel * torch.sigmoid(score))
        for c, channel in enumerate(second):
            variance = ((channel - channel.mean()) ** 2).mean()
            normal = (channel - channel.mean()) / (variance + 1e-5).sqrt()
            normal = module.norm.weight[c] * normal + module.norm.bias[c]
            score = module.spatial_weight[c] * normal + module.spatial_bias[c]
            done.append(channel * torch.sigmoid(score))
    half = len(done) // 2
    return torch.stack([done[c // 2 + half * (c % 2)] for c in range(len(done))])


@pytest.mark.parametrize("groups", [None, 3, 1])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_equals_the_equations(groups, layout):
    torch.manual_seed(0)
    module = ShuffleAttention(24, groups=groups).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 24, 3, 5, dtype=torch.double).contiguous(memory_format=layout)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


def test_at_the_start_it_scales_by_a_constant_and_shuffles():
    x = torch.arange(8.0).reshape(1, 8, 1, 1).expand(1, 8, 2, 2)
    y = ShuffleAttention(8)(x)
    order = torch.tensor([0.0, 4, 1, 5, 2, 6, 3, 7]) * torch.sigmoid(torch.tensor(1.0))
    torch.testing.assert_close(y[0, :, 0, 0], order)


def test_known_counts():
    assert CARD.params(512) == CARD.params(512, groups=64) == 24
    assert CARD.params(512, groups=8) == 192
    assert CARD.macs(512, 14, 14) == 0


@pytest.mark.parametrize(("channels", "groups"), [(512, 64), (96, 48), (160, 40), (24, 12), (2, 1)])
def test_groups_are_the_largest_that_fit(channels, groups):
    assert ShuffleAttention(channels).groups == groups


@pytest.mark.parametrize(
    ("channels", "options", "why"),
    [(17, {}, "even"), (96, {"groups": 64}, r"multiple of 2 \* groups; leave groups out")],
)
def test_channels_that_do_not_divide_are_refused(channels, options, why):
    with pytest.raises(ValueError, match=why):
        ShuffleAttention(channels, **options)
