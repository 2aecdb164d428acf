"""SCSA against its equations, in the order of the paper."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from attnbench_modules.scsa import SCSA

CARD = SCSA.card


def normalised(norm, z):
    """(C, ...): over each group of channels with all their positions."""
    groups = z.reshape(norm.num_groups, -1)
    mean = groups.mean(1, keepdim=True)
    variance = ((groups - mean) ** 2).mean(1, keepdim=True)
    z = ((groups - mean) / (variance + 1e-5).sqrt()).reshape(z.shape)
    shape = (-1,) + (1,) * (z.dim() - 1)
    return z * norm.weight.reshape(shape) + norm.bias.reshape(shape)


def gates(module, norm, strip):
    quarters = []
    for conv, quarter in zip(module.convs, strip.chunk(4), strict=True):
        weight = conv.weight[:, :, :, 0]
        quarters.append(
            F.conv1d(
                quarter[None], weight, conv.bias, padding=weight.shape[2] // 2, groups=len(quarter)
            )[0]
        )
    return torch.sigmoid(normalised(norm, torch.cat(quarters)))


def reference(module, image):
    rows, columns = (
        gates(module, module.norm_h, image.mean(2)),
        gates(module, module.norm_w, image.mean(1)),
    )
    image = image * rows[:, :, None] * columns[:, None, :]
    sides = [min(module.window_size, side) for side in image.shape[1:]]
    counts = [side // step for side, step in zip(image.shape[1:], sides, strict=True)]
    windows = torch.stack(
        [
            image[:, i * sides[0] : (i + 1) * sides[0], j * sides[1] : (j + 1) * sides[1]].mean(
                (1, 2)
            )
            for i in range(counts[0])
            for j in range(counts[1])
        ],
        1,
    )
    z = normalised(module.norm, windows)
    q, k, v = (factor[:, :, 0] * z for factor in (module.q, module.k, module.v))
    means = []
    for query, key, value in zip(*(t.chunk(module.heads) for t in (q, k, v)), strict=True):
        attended = torch.softmax(query @ key.T / len(query) ** 0.5, 1) @ value
        means.append(attended.mean(1))
    return image * torch.sigmoid(torch.cat(means))[:, None, None]


@pytest.mark.parametrize("options", [{}, {"heads": 3, "window_size": 2}])
@pytest.mark.parametrize("size", [(7, 9), (14, 15), (4, 6), (1, 1)])
def test_equals_the_equations(options, size):
    torch.manual_seed(0)
    module = SCSA(24, **options).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 24, *size, dtype=torch.double)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


def test_known_counts():
    assert CARD.params(512) == 16 * 512
    assert CARD.macs(512, 14, 14) == 6 * 512 * 28 + 5 * 512**2


@pytest.mark.parametrize(("channels", "options"), [(18, {}), (24, {"heads": 5})])
def test_channels_that_do_not_divide_are_refused(channels, options):
    with pytest.raises(ValueError, match="channels must be a multiple of"):
        SCSA(channels, **options)
