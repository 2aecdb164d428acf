"""Gates of channels and positions, and choices between convolutions, as the papers have them."""

from __future__ import annotations

from typing import Any, cast

import torch
from attnbench_modules.bam import BAM
from attnbench_modules.cbam import CBAM
from attnbench_modules.cot import SHARING, CoT
from attnbench_modules.gam import GAM
from attnbench_modules.psa import PSA
from attnbench_modules.scse import SCSE
from attnbench_modules.shuffle import ShuffleAttention
from attnbench_modules.sk import SK
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import Form, mean, on_maps, on_vectors, written


def bam(module: BAM) -> Form:
    """Park et al. 2018: linear layers on the pooled vector, as they are there."""
    squeeze, norm, relu, excite = cast("Any", module.channel)
    channel = nn.Sequential(on_vectors(squeeze), _on_vectors(norm), relu, on_vectors(excite))

    def forward(x: Tensor) -> Tensor:
        by_channel = channel(mean(x).flatten(1))[..., None, None].expand_as(x)
        by_position = module.spatial(x).expand_as(x)
        return x * (1 + torch.sigmoid(by_channel * by_position))

    return forward


def _on_vectors(norm: nn.BatchNorm2d) -> nn.BatchNorm1d:
    """Return the same norm for (B, C): it shares parameters and statistics."""
    vector = nn.BatchNorm1d(norm.num_features, eps=norm.eps).eval()
    vector.weight, vector.bias = norm.weight, norm.bias
    vector.running_mean, vector.running_var = norm.running_mean, norm.running_var
    return vector


def cbam(module: CBAM) -> Form:
    """Woo et al. 2018: linear layers on the pooled vectors, as they are there."""
    first, relu, second = cast("Any", module.mlp)
    mlp = nn.Sequential(nn.Flatten(), on_vectors(first), relu, on_vectors(second))

    def forward(x: Tensor) -> Tensor:
        scores = mlp(mean(x)) + mlp(F.adaptive_max_pool2d(x, 1))  # (B, C)
        x = x * torch.sigmoid(scores)[..., None, None].expand_as(x)
        planes = torch.stack([x.max(1)[0], x.mean(1)], 1)  # (B, 2, H, W)
        return x * torch.sigmoid(module.spatial(planes))

    return forward


@written
def scse(module: SCSE, x: Tensor) -> Tensor:
    """Roy et al. 2018: cSE and sSE, of which the larger."""
    hidden = torch.relu(module.squeeze(mean(x).flatten(1)))
    channel = torch.sigmoid(module.excite(hidden))[..., None, None]
    return torch.max(x * channel, x * torch.sigmoid(module.spatial(x)))


@written
def sk(module: SK, x: Tensor) -> Tensor:
    """Li et al. 2019: split, fuse, select."""
    branches = torch.stack([module.near(x), module.far(x)], 1)  # (B, 2, C, H, W)
    hidden = module.squeeze(mean(branches.sum(1)))
    weights = module.select(hidden).view(len(x), 2, -1, 1, 1).softmax(1)
    chosen: Tensor = (branches * weights).sum(1)
    return chosen


@written
def shuffle(module: ShuffleAttention, x: Tensor) -> Tensor:
    """Zhang and Yang 2021: halves of groups, and a shuffle of the channels."""
    groups = x.reshape(len(x) * module.groups, -1, *x.shape[2:])
    first, second = groups.chunk(2, 1)
    level = module.channel_weight * mean(first) + module.channel_bias
    values = module.spatial_weight * module.norm(second) + module.spatial_bias
    gated = torch.cat([first * torch.sigmoid(level), second * torch.sigmoid(values)], 1)
    halves = gated.reshape(len(x), 2, -1, *x.shape[2:])
    return halves.transpose(1, 2).reshape(x.shape)


def gam(module: GAM) -> Form:
    """Liu et al. 2021: the map is turned for an MLP over the channels."""
    first, relu, second = cast("Any", module.channel)
    mlp = nn.Sequential(on_vectors(first), relu, on_vectors(second))

    def forward(x: Tensor) -> Tensor:
        gate = mlp(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = x * torch.sigmoid(gate)
        return x * torch.sigmoid(module.spatial(x))

    return forward


def psa(module: PSA) -> Form:
    """Zhang et al. 2022: SE's weights of each branch, softmax over branches."""
    squeeze, excite = on_maps(module.squeeze), on_maps(module.excite)

    def forward(x: Tensor) -> Tensor:
        features = [branch(x) for branch in module.branches]
        gates = [torch.sigmoid(excite(torch.relu(squeeze(mean(one))))) for one in features]
        weights = torch.stack(gates, 1).softmax(1)  # (B, 4, C/4, 1, 1)
        return (torch.stack(features, 1) * weights).view(x.shape)

    return forward


@written
def cot(module: CoT, x: Tensor) -> Tensor:
    """Li et al. 2023: neighbours laid out, weighed and summed up; a choice."""
    keys, taps = module.key(x), module.kernel_size**2
    weights = module.embed(torch.cat([x, keys], 1)).view(len(x), 1, -1, taps, *x.shape[2:])
    laid_out = F.unfold(module.value(x), module.kernel_size, padding=module.kernel_size // 2)
    neighbours = laid_out.view(len(x), SHARING, -1, taps, *x.shape[2:])
    sums = module.norm((neighbours * weights).sum(3).view(x.shape))
    both = torch.stack([sums, keys], 2)  # (B, C, 2, H, W)
    scores = module.select(module.squeeze(mean(both.sum(2))))
    chosen: Tensor = (both * scores.view(len(x), -1, 2, 1, 1).softmax(2)).sum(2)
    return chosen
