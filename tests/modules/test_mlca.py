"""MLCA against its equations."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.mlca import MLCA

CARD = MLCA.card


def window(i, cells, size):
    """What cell i of so many covers of a side of this size: all that it touches."""
    return range(i * size // cells, -(-((i + 1) * size) // cells))


def pooled(image, height, width):
    """(C, H, W) -> (C, height, width), by averages of all values that a cell touches."""
    rows = [
        [image[:, list(window(i, height, image.shape[1]))] for _ in range(width)]
        for i in range(height)
    ]
    return torch.stack(
        [
            torch.stack(
                [
                    rows[i][j][:, :, list(window(j, width, image.shape[2]))].mean((1, 2))
                    for j in range(width)
                ],
                1,
            )
            for i in range(height)
        ],
        1,
    )


def filtered(weights, line):
    half = len(weights) // 2
    return torch.stack(
        [
            sum(
                weights[half + d] * line[i + d]
                for d in range(-half, half + 1)
                if 0 <= i + d < len(line)
            )
            for i in range(len(line))
        ]
    )


def reference(module, image):
    s, w = module.local_size, module.local_weight
    patches = pooled(image, s, s)
    line = torch.cat([patches[:, i, j] for i in range(s) for j in range(s)])
    local = torch.sigmoid(filtered(module.conv_local.weight[0, 0], line)).reshape(s, s, -1)
    overall = torch.sigmoid(filtered(module.conv.weight[0, 0], patches.mean((1, 2))))
    gate = (w * local + (1 - w) * overall).permute(2, 0, 1)
    return image * pooled(gate, *image.shape[1:])


@pytest.mark.parametrize("options", [{}, {"local_size": 2, "local_weight": 0.25, "kernel_size": 5}])
@pytest.mark.parametrize("size", [(5, 5), (7, 9), (3, 1), (10, 15)])
def test_equals_the_equations(options, size):
    torch.manual_seed(0)
    module = MLCA(16, **options).double()
    x = torch.randn(2, 16, *size, dtype=torch.double)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


def test_known_counts():
    assert CARD.params(512) == 10
    assert CARD.macs(512, 14, 14) == 5 * 512 * 26


@pytest.mark.parametrize("weight", [0.0, 1.0, -1.0])
def test_a_gate_without_weight_is_refused(weight):
    with pytest.raises(ValueError, match="one of the two gates would do nothing"):
        MLCA(16, local_weight=weight)
