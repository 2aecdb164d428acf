"""Modules whose positions, or channels, attend to each other, as the papers have them."""

from __future__ import annotations

import math

import torch
from attnbench_modules.ccnet import CrissCross
from attnbench_modules.danet import DANetChannel, DANetPosition
from attnbench_modules.double_attention import DoubleAttention
from attnbench_modules.external import ExternalAttention
from attnbench_modules.non_local import NonLocal
from attnbench_modules.separable import SeparableAttention
from torch import Tensor
from torch.nn import functional as F

from .layers import Form, on_lines, written


@written
def non_local(module: NonLocal, x: Tensor) -> Tensor:
    """Wang et al. 2018: embedded Gaussian, scaled as in self-attention."""
    theta = module.theta(x).flatten(2).transpose(1, 2)  # (B, N, d)
    phi = module.phi(x).flatten(2)  # (B, d, N)
    g = module.g(x).flatten(2).transpose(1, 2)  # (B, N, d)
    attention = (torch.matmul(theta, phi) * module.scale).softmax(2)  # (B, N, N)
    gathered = torch.matmul(attention, g).transpose(1, 2).contiguous()  # (B, d, N)
    projected: Tensor = module.norm(module.out(gathered.view(len(x), -1, *x.shape[2:])))
    return x + projected


@written
def double_attention(module: DoubleAttention, x: Tensor) -> Tensor:
    """Chen et al. 2018: gather, distribute, and a layer back."""
    features = module.features(x).flatten(2)  # (B, t, N)
    where = module.gather(x).flatten(2).softmax(2)
    which = module.distribute(x).flatten(2).softmax(1)
    descriptors = torch.bmm(features, where.transpose(1, 2))  # (B, t, t)
    mixed = torch.bmm(descriptors, which).view(len(x), -1, *x.shape[2:])
    projected: Tensor = module.out(mixed)
    return x + projected


@written
def danet_position(module: DANetPosition, x: Tensor) -> Tensor:
    """Fu et al. 2019."""
    query = module.query(x).flatten(2).transpose(1, 2)  # (B, N, d)
    attention = torch.bmm(query, module.key(x).flatten(2)).softmax(2)  # (B, N, N)
    gathered = torch.bmm(module.value(x).flatten(2), attention.transpose(1, 2))
    return module.gamma * gathered.view(x.shape) + x


@written
def danet_channel(module: DANetChannel, x: Tensor) -> Tensor:
    """Fu et al. 2019, the products taken off their maximum as in its code."""
    flat = x.flatten(2)  # (B, C, N)
    products = torch.bmm(flat, flat.transpose(1, 2))  # (B, C, C)
    reversed_ = products.max(2, keepdim=True)[0].expand_as(products) - products
    gathered = torch.bmm(reversed_.softmax(2), flat)
    return module.gamma * gathered.view(x.shape) + x


@written
def ccnet(module: CrissCross, x: Tensor) -> Tensor:
    """Huang et al. 2019, as often as the module goes round."""
    for _ in range(module.recurrence):
        x = _criss_cross(module, x)
    return x


def _criss_cross(module: CrissCross, x: Tensor) -> Tensor:
    """Attend once to row and column; a position meets itself in its row only."""
    query, key, value = module.query(x), module.key(x), module.value(x)
    height, width = x.shape[2:]
    itself = torch.diag(x.new_full((height,), math.inf))  # (H, H)
    in_column = torch.bmm(_columns(query).transpose(1, 2), _columns(key)) - itself
    in_row = torch.bmm(_rows(query).transpose(1, 2), _rows(key))  # (BH, W, W)
    of_columns = in_column.view(len(x), width, height, height).transpose(1, 2)
    scores = torch.cat([of_columns, in_row.view(len(x), height, width, width)], 3)
    weights = scores.softmax(3)  # (B, H, W, H + W)
    by_column = weights[..., :height].transpose(1, 2).reshape(-1, height, height)
    by_row = weights[..., height:].reshape(-1, width, width)
    down = torch.bmm(_columns(value), by_column.transpose(1, 2))  # (BW, C, H)
    along = torch.bmm(_rows(value), by_row.transpose(1, 2))  # (BH, C, W)
    down = down.view(len(x), width, -1, height).permute(0, 2, 3, 1)
    along = along.view(len(x), height, -1, width).permute(0, 2, 1, 3)
    return module.gamma * (down + along) + x


def _columns(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (BW, C, H)."""
    return x.permute(0, 3, 1, 2).reshape(-1, x.shape[1], x.shape[2])


def _rows(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (BH, C, W)."""
    return x.permute(0, 2, 1, 3).reshape(-1, x.shape[1], x.shape[3])


def external(module: ExternalAttention) -> Form:
    """Guo et al. 2023: memories are 1-D convolutions."""
    keys, values = on_lines(module.keys), on_lines(module.values)

    def forward(x: Tensor) -> Tensor:
        attention = keys(module.project(x).flatten(2)).softmax(2)  # (B, k, N)
        attention = attention / attention.sum(1, keepdim=True)
        gathered = values(attention).view(x.shape)
        return F.relu(module.norm(module.out(gathered)) + x)

    return forward


@written
def separable_attention(module: SeparableAttention, x: Tensor) -> Tensor:
    """Mehta and Rastegari 2023: one score a position, one context for all."""
    channels = x.shape[1]
    query, key, value = module.project(x).split([1, channels, channels], 1)
    weights = query.flatten(2).softmax(2).view(query.shape)
    context = (key * weights).sum((2, 3), keepdim=True)
    projected: Tensor = module.out(F.relu(value) * context.expand_as(value))
    return x + projected
