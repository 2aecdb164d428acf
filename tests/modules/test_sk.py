"""SK against its equations, and against timm with the same widths."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.sk import SK
from torch.nn import functional as F

CARD = SK.card


def moved(channels, **options):
    torch.manual_seed(0)
    module = SK(channels, **options).double().eval()
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif tensor.is_floating_point():
            tensor.add_(0.3 * torch.randn_like(tensor))
    return module


def normed(x, norm):
    mean, scale = norm.running_mean, norm.weight / (norm.running_var + norm.eps).sqrt()
    return ((x - mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]).relu()


def reference(module, x):
    """Convolve group by group, and tap by tap of the kernel."""
    features = []
    for (layer, norm, _), step in ((module.near, 1), (module.far, 2)):
        padded, outputs = F.pad(x, [step] * 4), []
        height, width = x.shape[2:]
        inputs = layer.weight.shape[1]
        for c, kernel in enumerate(layer.weight):
            start = c // inputs * inputs
            outputs.append(
                sum(
                    kernel[i, a, b]
                    * padded[
                        :, start + i, a * step : a * step + height, b * step : b * step + width
                    ]
                    for i in range(inputs)
                    for a in range(3)
                    for b in range(3)
                )
            )
        features.append(normed(torch.stack(outputs, 1), norm))
    near, far = features
    pooled = (near + far).flatten(2).mean(2) @ module.squeeze[0].weight.flatten(1).T
    hidden = normed(pooled[..., None, None], module.squeeze[1]).flatten(1)
    near_score, far_score = (hidden @ module.select.weight.flatten(1).T).chunk(2, dim=1)
    share = near_score.exp() / (near_score.exp() + far_score.exp())
    return near * share[..., None, None] + far * (1 - share[..., None, None])


@pytest.mark.parametrize(
    "options", [{}, {"groups": 2}, {"groups": 1, "reduction": 2, "minimum": 3}]
)
def test_equals_the_equations(options):
    module = moved(12, **options)
    x = torch.randn(2, 12, 5, 4, dtype=torch.double)
    torch.testing.assert_close(module(x), reference(module, x))


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (24, 24), (96, 32), (100, 25)])
def test_equals_timm_without_its_split(channels, groups):
    from timm.layers.selective_kernel import SelectiveKernel

    module = moved(channels).float()
    theirs = SelectiveKernel(channels, split_input=False, groups=groups, rd_channels=32).eval()
    names = {
        "near.0": "paths.0.conv",
        "near.1": "paths.0.bn",
        "far.0": "paths.1.conv",
        "far.1": "paths.1.bn",
        "squeeze.0": "attn.fc_reduce",
        "squeeze.1": "attn.bn",
        "select": "attn.fc_select",
    }
    state = {}
    for key, value in module.state_dict().items():
        layer, _, last = key.rpartition(".")
        state[f"{names[layer]}.{last}"] = value
    theirs.load_state_dict(state)
    x = torch.randn(2, channels, 7, 6)
    torch.testing.assert_close(module(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_known_counts():
    d = 32
    assert CARD.params(512) == 2 * (9 * 512**2 // 32 + 2 * 512) + 3 * 512 * d + 2 * d == 198_720
    assert CARD.macs(512, 14, 14) == 2 * 9 * 512**2 // 32 * 196 + 3 * 512 * d
    assert SK(1024).select.in_channels == 64  # C/16, above the minimum


@pytest.mark.parametrize(("channels", "groups"), [(16, 16), (24, 24), (40, 20), (88, 22), (7, 7)])
def test_groups_divide_the_channels(channels, groups):
    assert SK(channels).near[0].groups == groups
