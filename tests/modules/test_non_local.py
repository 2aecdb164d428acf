"""The non-local block against the paper's sum over all pairs of positions."""

from __future__ import annotations

import math

import pytest
import torch
from attnbench_modules.non_local import NonLocal

CARD = NonLocal.card


def randomised(channels=6, **options):
    torch.manual_seed(0)
    module = NonLocal(channels, **options).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
    return module.eval()


def project(conv, x):
    """A 1x1 convolution, position by position: (C, H, W) -> list of rows of (d,) vectors."""
    weight = conv.weight[:, :, 0, 0]
    return [[weight @ x[:, i, j] + conv.bias for j in range(x.shape[2])] for i in range(x.shape[1])]


def pooled(grid):
    """2x2 maximum of a grid of vectors; the last odd row and column fall away."""
    rows, columns = len(grid) // 2, len(grid[0]) // 2
    cells = [(2 * i, 2 * j) for i in range(rows) for j in range(columns)]
    corners = [(0, 0), (0, 1), (1, 0), (1, 1)]
    return [torch.stack([grid[i + a][j + b] for a, b in corners]).amax(0) for i, j in cells]


def listed(grid):
    return [vector for row in grid for vector in row]


def reference(module, image, sub_sample="none", scale=True, norm=True):
    theta = project(module.theta, image)
    if sub_sample == "input":
        grid = [[image[:, i, j] for j in range(image.shape[2])] for i in range(image.shape[1])]
        cells = torch.stack(pooled(grid), dim=1)[:, None, :]  # (C, 1, M)
        keys, values = project(module.phi, cells)[0], project(module.g, cells)[0]
    else:
        keys, values = project(module.phi, image), project(module.g, image)
        flat = pooled if sub_sample == "projection" else listed
        keys, values = flat(keys), flat(values)
    y = image.clone()
    for i, row in enumerate(theta):
        for j, query in enumerate(row):
            factor = 1 / math.sqrt(len(query)) if scale else 1.0
            weights = torch.stack([(query @ key * factor).exp() for key in keys])
            mixed = sum(w * v for w, v in zip(weights / weights.sum(), values, strict=True))
            out = module.out.weight[:, :, 0, 0] @ mixed + module.out.bias
            if norm:  # in eval, with running statistics 0 and 1
                out = module.norm.weight * out / math.sqrt(1 + 1e-5) + module.norm.bias
            y[:, i, j] += out
    return y


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sub_sample": "input"},
        {"sub_sample": "projection"},
        {"scale": False},
        {"norm": False},
    ],
)
def test_equals_the_sum_over_pairs(options):
    module = randomised(**options)
    x = torch.randn(2, 6, 5, 4, dtype=torch.double)
    expected = torch.stack([reference(module, image, **options) for image in x])
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_starts_as_the_identity_and_can_leave_it(norm, training):
    module = NonLocal(16, norm=norm).train(training)
    x = torch.randn(2, 16, 6, 6)
    assert torch.equal(module(x), x)
    (module(x) ** 3).sum().backward()
    last = module.norm if norm else module.out
    assert last.weight.grad.abs().max() > 0


def test_reduction_sets_the_inner_width():
    assert NonLocal(16).theta.out_channels == 8
    assert NonLocal(16, reduction=4).theta.out_channels == 4
    assert NonLocal(2, reduction=4).theta.out_channels == 1


@pytest.mark.parametrize("sub_sample", ["none", "input", "projection"])
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (3, 1), (3, 3)])
def test_sub_sampling_takes_any_map(sub_sample, size):
    module = randomised(sub_sample=sub_sample)
    assert module(torch.randn(2, 6, *size, dtype=torch.double)).shape == (2, 6, *size)


@pytest.mark.parametrize("sub_sample", ["input", "projection"])
def test_sub_sampling_is_none_on_one_position(sub_sample):
    x = torch.randn(2, 6, 1, 1, dtype=torch.double)
    torch.testing.assert_close(randomised(sub_sample=sub_sample)(x), randomised()(x))


def test_known_counts():
    assert CARD.params(512) == 526_592
    assert CARD.params(512, norm=False) == 525_568
    m, n = 512, 196
    assert CARD.macs(m, 14, 14) == 2 * m**2 * n + n**2 * m == 122_429_440
    assert round(CARD.macs(m, 14, 14, sub_sample="input") / 1e6, 2) == 69.14
    assert round(CARD.macs(m, 14, 14, sub_sample="projection") / 1e6, 2) == 107.68
    assert CARD.printed.params(512) == 524_288
    assert CARD.printed.macs(512, 14, 14) == 102_760_448


@pytest.mark.parametrize(
    ("options", "value", "reason"),
    [
        ({"reduction": 0}, "reduction=0", "1 or more"),
        ({"sub_sample": "maybe"}, "sub_sample='maybe'", "none, input, projection"),
    ],
)
def test_bad_values_are_refused(options, value, reason):
    with pytest.raises(ValueError, match=reason) as error:
        NonLocal(16, **options)
    assert value in str(error.value)
