"""Gates of large depthwise kernels, layer by layer as the papers have them."""

from __future__ import annotations

import torch
from attnbench_modules._layers import MultiScale
from attnbench_modules.caa import CAA
from attnbench_modules.cpca import CPCA
from attnbench_modules.lka import LKA
from attnbench_modules.lsk import LSK
from attnbench_modules.lska import LSKA
from attnbench_modules.msca import MSCA
from torch import Tensor
from torch.nn import functional as F

from .layers import mean, written


@written
def lka(module: LKA, x: Tensor) -> Tensor:
    """Guo et al. 2023: near, far and across channels; times x."""
    gate: Tensor = module.mix(module.far(module.near(x)))
    return gate * x


@written
def lska(module: LSKA, x: Tensor) -> Tensor:
    """Lau et al. 2024: as LKA, either kernel as a row and a column."""
    y = x
    for strip in (*module.near, *module.far):
        y = strip(y)
    gate: Tensor = module.mix(y)
    return gate * x


@written
def msca(module: MSCA, x: Tensor) -> Tensor:
    """Guo et al. 2022: the sum of the scales, mixed; times x."""
    gate: Tensor = module.mix(_scales(module.scales, x))
    return gate * x


def _scales(layers: MultiScale, x: Tensor) -> Tensor:
    square: Tensor = layers.square(x)
    seven, eleven, twenty_one = (strip(square) for strip in layers.strips)
    total: Tensor = square + seven + eleven + twenty_one
    return total


@written
def lsk(module: LSK, x: Tensor) -> Tensor:
    """Li et al. 2023: two reaches, a choice by position; times x."""
    near = module.near(x)
    reaches = (module.mix_near(near), module.mix_far(module.far(near)))
    both = torch.cat(reaches, 1)  # (B, C, H, W)
    planes = torch.cat([both.mean(1, keepdim=True), both.max(1, keepdim=True)[0]], 1)
    choice = torch.sigmoid(module.select(planes))  # (B, 2, H, W)
    chosen = reaches[0] * choice[:, 0].unsqueeze(1) + reaches[1] * choice[:, 1].unsqueeze(1)
    gate: Tensor = module.mix(chosen)
    return x * gate


@written
def caa(module: CAA, x: Tensor) -> Tensor:
    """Cai et al. 2024: pooling by 7x7, strips, gate."""
    pooled = F.avg_pool2d(x, 7, 1, 3)
    return x * torch.sigmoid(module.conv2(module.strips(module.conv1(pooled))))


@written
def cpca(module: CPCA, x: Tensor) -> Tensor:
    """Huang et al. 2023: channels, then values at four scales."""
    x = module.act(module.conv(x))
    by_mean = torch.sigmoid(module.mlp(mean(x)))
    x = x * (by_mean + torch.sigmoid(module.mlp(F.adaptive_max_pool2d(x, 1))))
    y: Tensor = module.conv(module.conv(_scales(module.scales, x)) * x)
    return y
