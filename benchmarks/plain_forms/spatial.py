"""Gates of positions, layer by layer as the papers' equations have them."""

from __future__ import annotations

from typing import Any

import torch
from attnbench_modules.ema import EMA
from attnbench_modules.sge import EPS, SGE
from attnbench_modules.simam import SimAM
from attnbench_modules.strip_pooling import StripPooling
from attnbench_modules.ulsam import ULSAM
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import mean, upright, written


class Subspace(nn.Module):
    """One subspace of the released ULSAM, layer by layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, channels, 1, groups=channels),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=1, padding=1),
            nn.Conv2d(channels, 1, 1),
            nn.BatchNorm2d(1),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, G, H, W) -> (B, G, H, W)."""
        scores: Tensor = self.features(x)
        weights = scores.flatten(2).softmax(2).reshape(scores.shape)
        return x * weights + x


class ReleasedULSAM(nn.Module):
    """Saini et al. 2020, in the structure of the released class.

    A network for each subspace, one after the other. Each has its part of the weights as a copy.
    """

    def __init__(self, module: ULSAM) -> None:
        super().__init__()
        groups, channels = module.groups, module.depthwise.out_channels
        self.subspaces = nn.ModuleList(Subspace(channels // groups) for _ in range(groups))
        layers = (
            (0, module.depthwise),
            (1, module.depthwise_norm),
            (4, module.pointwise),
            (5, module.pointwise_norm),
        )
        for i, part in enumerate(self.subspaces):
            for position, layer in layers:
                part.features[position].load_state_dict(_slice(layer, i, groups))  # type: ignore
        self.to(module.depthwise.weight).eval()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        parts = x.chunk(len(self.subspaces), dim=1)
        return torch.cat([one(part) for one, part in zip(self.subspaces, parts, strict=True)], 1)


def _slice(layer: Any, i: int, groups: int) -> dict[str, Tensor]:
    size = len(layer.bias) // groups
    state = layer.state_dict().items()
    return {key: value[i * size : (i + 1) * size] if value.ndim else value for key, value in state}


@written
def ema(module: EMA, x: Tensor) -> Tensor:
    """Ouyang et al. 2023: both branches, cross-spatial sums."""
    groups = x.reshape(len(x) * module.groups, -1, *x.shape[2:])  # (Bg, c, H, W)
    rows, columns = module.conv1x1(torch.cat(upright(groups), 2)).split(list(x.shape[2:]), 2)
    gated = groups * torch.sigmoid(rows) * torch.sigmoid(columns.permute(0, 1, 3, 2))
    near, wide = module.norm(gated), module.conv3x3(groups)
    by_near, by_wide = (mean(one).flatten(1).softmax(1).unsqueeze(1) for one in (near, wide))
    scores = by_near @ wide.flatten(2) + by_wide @ near.flatten(2)  # (Bg, 1, N)
    gate = torch.sigmoid(scores).view(-1, 1, *x.shape[2:])
    return (groups * gate).view(x.shape)


@written
def sge(module: SGE, x: Tensor) -> Tensor:
    """Li et al. 2019: likeness to the mean, normalised over positions, gate."""
    groups = x.view(len(x) * module.groups, -1, *x.shape[2:])  # (BG, c, H, W)
    likeness = (groups * mean(groups)).sum(1).flatten(1)  # (BG, N)
    centred = likeness - likeness.mean(1, keepdim=True)
    normed = centred / (centred.std(1, keepdim=True) + EPS)
    shaped = normed.view(-1, module.groups, *x.shape[2:])
    gate = torch.sigmoid(module.weight * shaped + module.bias).view(-1, 1, *x.shape[2:])
    return (groups * gate).view(x.shape)


@written
def simam(module: SimAM, x: Tensor) -> Tensor:
    """Yang et al. 2021: the inverse of the least energy gates."""
    others = x.shape[2] * x.shape[3] - 1
    squares = (x - x.mean((2, 3), keepdim=True)).pow(2)
    variance = squares.sum((2, 3), keepdim=True) / others
    return x * torch.sigmoid(squares / (4 * (variance + module.e_lambda)) + 0.5)


@written
def strip_pooling(module: StripPooling, x: Tensor) -> Tensor:
    """Hou et al. 2020: both strips, spread over the map, and their gate."""
    rows = module.rows(F.adaptive_avg_pool2d(x, (None, 1))).expand_as(x)
    columns = module.columns(F.adaptive_avg_pool2d(x, (1, None))).expand_as(x)
    return x * torch.sigmoid(module.mix(torch.relu(rows + columns)))
