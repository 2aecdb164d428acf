"""Gather-excite against its equations, and against timm where timm's works."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.ge import GE

CARD = GE.card


def coarse_means(channel, extent):
    height, width = channel.shape
    reach = extent - 1
    rows = []
    for i in range(0, height, extent):
        row = []
        for j in range(0, width, extent):
            window = channel[max(0, i - reach) : i + reach + 1, max(0, j - reach) : j + reach + 1]
            row.append(window.sum() / window.numel())
        rows.append(torch.stack(row))
    return torch.stack(rows)


def nearest(coarse, height, width):
    rows = [i * coarse.shape[0] // height for i in range(height)]
    columns = [j * coarse.shape[1] // width for j in range(width)]
    return coarse[rows][:, columns]


@pytest.mark.parametrize("extent", [0, 2, 4, 8])
@pytest.mark.parametrize("size", [(7, 7), (14, 9), (1, 1), (16, 3)])
def test_theta_minus_equals_the_equations(extent, size):
    x = torch.randn(2, 3, *size, dtype=torch.double)
    y = GE(3, extent=extent)(x)
    for image, gated in zip(x, y, strict=True):
        for channel, found in zip(image, gated, strict=True):
            coarse = coarse_means(channel, extent) if extent else channel.mean()[None, None]
            torch.testing.assert_close(found, channel * nearest(coarse, *size).sigmoid())


@pytest.mark.parametrize("extent", [0, 2, 4, 8])
def test_theta_minus_equals_timm(extent):
    from timm.layers.gather_excite import GatherExcite

    theirs = GatherExcite(8, extent=extent, use_mlp=False)
    x = torch.randn(2, 8, 14, 11)
    torch.testing.assert_close(GE(8, extent=extent)(x), theirs(x))


def moved(**options):
    torch.manual_seed(0)
    module = GE(8, **options).double().eval()
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 2) if "running_var" in name else tensor.normal_()
    return module


def normed(value, norm, c):
    scale = norm.weight[c] / (norm.running_var[c] + norm.eps).sqrt()
    return (value - norm.running_mean[c]) * scale + norm.bias[c]


@pytest.mark.parametrize("variant", ["theta", "theta-plus"])
def test_the_global_convolution_sees_all_positions(variant):
    module = moved(variant=variant, feature_size=(3, 5), reduction=4)
    x = torch.randn(2, 8, 3, 5, dtype=torch.double)
    kernel, norm = module.gather[0].weight, module.gather[1]
    gathered = torch.stack(
        [normed((x[:, c] * kernel[c, 0]).sum((1, 2)), norm, c) for c in range(8)], dim=1
    )
    if variant == "theta-plus":
        _, first, _, second = module.excite
        hidden = (gathered.relu() @ first.weight.flatten(1).T + first.bias).relu()
        gathered = hidden @ second.weight.flatten(1).T + second.bias
    torch.testing.assert_close(module(x), x * gathered.sigmoid()[..., None, None])


def test_an_extent_of_4_takes_two_strided_convolutions():
    module = moved(variant="theta", extent=4)
    x = torch.randn(1, 8, 7, 6, dtype=torch.double)
    first, norm, _, second, last_norm = module.gather
    for c in range(8):
        maps = x[0, c]
        for layer, one, relu in ((first, norm, True), (second, last_norm, False)):
            padded = torch.nn.functional.pad(maps, [1] * 4)
            height, width = ((side + 1) // 2 for side in maps.shape)
            maps = torch.stack(
                [
                    torch.stack(
                        [
                            (
                                padded[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] * layer.weight[c, 0]
                            ).sum()
                            for j in range(width)
                        ]
                    )
                    for i in range(height)
                ]
            )
            maps = normed(maps, one, c).relu() if relu else normed(maps, one, c)
        expected = x[0, c] * nearest(maps, 7, 6).sigmoid()
        torch.testing.assert_close(module(x)[0, c], expected)


def test_a_map_of_another_size_is_pooled_first():
    module = moved(variant="theta", feature_size=(2, 3))
    coarse = torch.randn(2, 8, 2, 3, dtype=torch.double)
    fine = coarse.repeat_interleave(2, 2).repeat_interleave(3, 3)
    expected = module(coarse).repeat_interleave(2, 2).repeat_interleave(3, 3)
    torch.testing.assert_close(module(fine), expected)


def test_known_counts():
    assert CARD.params(512) == CARD.macs(512, 14, 14) == 0
    assert CARD.params(512, feature_size=(14, 14), variant="theta") == 512 * 196 + 2 * 512
    assert CARD.params(512, variant="theta", extent=8) == 33 * 512
    plus = CARD.params(512, feature_size=(14, 14), variant="theta-plus")
    assert plus == 512 * 196 + 2 * 512 + 33_312  # SE(512, r = 16) is the MLP
    assert CARD.macs(512, 14, 14, variant="theta", extent=2) == 9 * 512 * 49


@pytest.mark.parametrize("extent", [1, 3, 16, -2, True])
def test_other_extents_are_refused(extent):
    with pytest.raises(ValueError, match="2, 4 or 8, or 0"):
        GE(16, extent=extent)


def test_attention_knows_the_parameters_of_a_size():
    from attnbench.registry.attention import find_attention

    attention = find_attention("ge,variant=theta")
    assert attention.params(8, (3, 5)) == 8 * 17
    built = attention.build(8, (3, 5))
    assert sum(p.numel() for p in built.parameters()) == 8 * 17
