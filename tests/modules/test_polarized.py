"""Both layouts of polarized self-attention against their equations."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.polarized_parallel import PolarizedParallel
from attnbench_modules.polarized_sequential import PolarizedSequential
from torch import nn

LAYOUTS = [PolarizedParallel, PolarizedSequential]
SOFTMAX = ["scores", "values", "query"]


def moved(cls, channels=16, **options):
    torch.manual_seed(0)
    module = cls(channels, **options).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def matrix(conv):
    return conv.weight[:, :, 0, 0]


def shares(numbers):
    powers = numbers.exp()
    return powers / powers.sum()


def channel_gate(module, x):
    """(C, N) -> (C,)."""
    weights = shares(matrix(module.mask)[0] @ x)
    pooled = sum(w * matrix(module.channel_value) @ v for w, v in zip(weights, x.T, strict=True))
    if isinstance(module, PolarizedParallel):
        return (matrix(module.up) @ pooled).sigmoid()
    hidden = matrix(module.squeeze) @ pooled + module.squeeze.bias
    centred = hidden - hidden.mean()
    normed = centred / (centred.square().mean() + 1e-5).sqrt()
    normed = normed * module.norm.weight.flatten() + module.norm.bias.flatten()
    return (matrix(module.up) @ normed.clamp(min=0) + module.up.bias).sigmoid()


def spatial_gate(module, x, softmax):
    """(C, N) -> (N,)."""
    query = sum(matrix(module.query) @ position for position in x.T) / x.shape[1]
    values = matrix(module.value) @ x
    if softmax == "query":
        query = shares(query)
    if softmax == "values":
        values = torch.stack([shares(row) for row in values])
    scores = query @ values
    return (shares(scores) if softmax == "scores" else scores).sigmoid()


def reference(module, image, softmax):
    x = image.flatten(1)
    channel = channel_gate(module, x)[:, None]
    if isinstance(module, PolarizedParallel):
        return (x * channel + x * spatial_gate(module, x, softmax)).reshape(image.shape)
    x = x * channel
    return (x * spatial_gate(module, x, softmax)).reshape(image.shape)


@pytest.mark.parametrize("cls", LAYOUTS)
@pytest.mark.parametrize("softmax", SOFTMAX)
@pytest.mark.parametrize("size", [(3, 4), (1, 1)])
def test_equals_the_equations(cls, softmax, size):
    module = moved(cls, softmax=softmax)
    x = torch.randn(2, 16, *size, dtype=torch.double)
    expected = torch.stack([reference(module, image, softmax) for image in x])
    torch.testing.assert_close(module(x), expected)


def test_defaults_are_those_of_the_original_code():
    assert PolarizedParallel(8).softmax == "scores"
    assert PolarizedSequential(8).softmax == "values"


def test_the_parallel_gate_hardly_tells_positions_apart():
    torch.manual_seed(0)
    x = torch.rand(2, 16, 28, 28) + 0.5
    ratio = PolarizedParallel(16)(x) / x
    assert (ratio.amax((2, 3)) - ratio.amin((2, 3))).max() < 0.02


@pytest.mark.parametrize(
    ("cls", "softmax"), [(PolarizedParallel, "scores"), (PolarizedSequential, "query")]
)
def test_inference_projects_no_map(cls, softmax):
    fused = moved(cls, softmax=softmax).fuse()
    assert not [layer for layer in fused.modules() if isinstance(layer, nn.Conv2d)]


def test_known_counts():
    c, n = 512, 196
    parallel, sequential = PolarizedParallel.card, PolarizedSequential.card
    assert parallel.params(c) == 2 * c**2 + c == 524_800
    assert sequential.params(c) == 1.6875 * c**2 + 2.375 * c == 443_584
    assert parallel.macs(c, 14, 14) == 1.5 * c**2 * n + 2 * c * n + c**2 / 2
    assert sequential.macs(c, 14, 14) == 1.5 * c**2 * n + 2 * c * n + 1.5 * c * c / 8
