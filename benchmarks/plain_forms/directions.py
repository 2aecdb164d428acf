"""Gates along the sides of a map, as the papers have them."""

from __future__ import annotations

import torch
from attnbench_modules.coordinate import CoordinateAttention
from attnbench_modules.ela import ELA
from attnbench_modules.mca import MCA, Gate
from attnbench_modules.mlca import MLCA
from attnbench_modules.scsa import SCSA
from attnbench_modules.triplet import TripletAttention
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import Form, mean, on_lines, upright, written


@written
def coordinate(module: CoordinateAttention, x: Tensor) -> Tensor:
    """Hou et al. 2021: both strips through one layer, then a layer for each."""
    shared = module.act(module.bn1(module.conv1(torch.cat(upright(x), 2))))
    rows, columns = shared.split(list(x.shape[2:]), 2)
    by_column = torch.sigmoid(module.conv_w(columns.permute(0, 1, 3, 2)))
    return x * torch.sigmoid(module.conv_h(rows)) * by_column


def ela(module: ELA) -> Form:
    """Xu and Wan 2024: a filter along the rows' and along the columns' means."""
    line = on_lines(module.conv)

    def gate(strip: Tensor) -> Tensor:
        return torch.sigmoid(module.norm(line(strip)))

    return lambda x: x * gate(x.mean(3)).unsqueeze(3) * gate(x.mean(2)).unsqueeze(2)


@written
def triplet(module: TripletAttention, x: Tensor) -> Tensor:
    """Misra et al. 2021: the map is turned, gated and turned back."""
    assert module.hw is not None
    turned = x.permute(0, 2, 1, 3).contiguous()  # (B, H, C, W)
    by_column = _gated_by_plane(module.cw, turned).permute(0, 2, 1, 3).contiguous()
    turned = x.permute(0, 3, 2, 1).contiguous()  # (B, W, H, C)
    by_row = _gated_by_plane(module.hc, turned).permute(0, 3, 2, 1).contiguous()
    return (_gated_by_plane(module.hw, x) + by_column + by_row) / 3


def _gated_by_plane(layers: nn.Sequential, x: Tensor) -> Tensor:
    """Gate by maximum and mean over the first dimension of the map."""
    planes = torch.cat([x.max(1, keepdim=True)[0], x.mean(1, keepdim=True)], 1)
    return x * torch.sigmoid(layers(planes))


@written
def mca(module: MCA, x: Tensor) -> Tensor:
    """Yu et al. 2023: the map is turned, gated along its channels and turned back."""
    assert module.channels is not None
    turned = x.permute(0, 2, 1, 3).contiguous()  # (B, H, C, W)
    by_row = _gated_by_style(module.rows, turned).permute(0, 2, 1, 3).contiguous()
    turned = x.permute(0, 3, 2, 1).contiguous()  # (B, W, H, C)
    by_column = _gated_by_style(module.columns, turned).permute(0, 3, 2, 1).contiguous()
    return (_gated_by_style(module.channels, x) + by_row + by_column) / 3


def _gated_by_style(gate: Gate, x: Tensor) -> Tensor:
    """Gate by mean and deviation, a filter along the first dimension of the map."""
    means = mean(x).flatten(1)  # (B, C)
    spread = x.flatten(2).std(2)
    weights = torch.sigmoid(gate.weight)
    mixed = (means + spread) / 2 + weights[0] * means + weights[1] * spread
    scores = gate.conv(mixed.unsqueeze(1)).squeeze(1)
    return x * torch.sigmoid(scores)[..., None, None].expand_as(x)


@written
def mlca(module: MLCA, x: Tensor) -> Tensor:
    """Wan et al. 2023: ECA of the patches in a row and of their mean, unpooled."""
    patches = F.adaptive_avg_pool2d(x, module.local_size)  # (B, C, s, s)
    row = patches.flatten(2).transpose(1, 2).reshape(len(x), 1, -1)  # patch after patch
    local = module.conv_local(row).view(len(x), -1, x.shape[1]).transpose(1, 2)
    whole = module.conv(mean(patches).squeeze(3).transpose(1, 2)).transpose(1, 2).unsqueeze(3)
    mixed = module.local_weight * torch.sigmoid(local.reshape(patches.shape)) + (
        1 - module.local_weight
    ) * torch.sigmoid(whole)
    return x * F.adaptive_avg_pool2d(mixed, (x.shape[2], x.shape[3]))


def scsa(module: SCSA) -> Form:
    """Si et al. 2025: filters of four lengths, then attention of channels.

    Query, key and value are depthwise 1x1 convolutions.
    """
    lines = [on_lines(layer) for layer in module.convs]  # type: ignore[arg-type]

    def gate(strip: Tensor, norm: nn.Module) -> Tensor:
        quarters = zip(lines, strip.chunk(4, 1), strict=True)
        return torch.sigmoid(norm(torch.cat([line(part) for line, part in quarters], 1)))

    def forward(x: Tensor) -> Tensor:
        rows, columns = gate(x.mean(3), module.norm_h), gate(x.mean(2), module.norm_w)
        x = x * rows.unsqueeze(3) * columns.unsqueeze(2)
        return x * torch.sigmoid(_channels_attending(module, x))

    return forward


def _channels_attending(module: SCSA, x: Tensor) -> Tensor:
    """Return what each channel takes from all, mean over windows: -> (B, C, 1, 1)."""
    size = [min(module.window_size, side) for side in x.shape[2:]]
    windows: Tensor = module.norm(F.avg_pool2d(x, size))
    query, key, value = (
        F.conv2d(windows, weight.unsqueeze(3), groups=x.shape[1])
        .flatten(2)
        .view(len(x), module.heads, -1, windows.shape[2] * windows.shape[3])
        for weight in (module.q, module.k, module.v)
    )  # (B, heads, d, n) each
    attention = (query @ key.transpose(2, 3) / query.shape[2] ** 0.5).softmax(3)
    gathered: Tensor = (attention @ value).reshape(windows.shape)
    return gathered.mean((2, 3), keepdim=True)
