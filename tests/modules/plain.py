"""Layers in plain steps, for the references that the modules are held against."""

from __future__ import annotations

import torch


def convolved(layer, image):
    """Convolve one image tap by tap, zeros around it: (C, H, W) -> (D, H, W)."""
    weight, groups = layer.weight, layer.groups
    (rows, columns), (step_down, step_along) = weight.shape[2:], layer.dilation
    height, width = image.shape[1:]
    top, left = rows // 2 * step_down, columns // 2 * step_along
    padded = image.new_zeros(len(image), height + 2 * top, width + 2 * left)
    padded[:, top : top + height, left : left + width] = image
    total = image.new_zeros(len(weight), height, width)
    for i in range(rows):
        for j in range(columns):
            down, along = i * step_down, j * step_along
            seen = padded[:, down : down + height, along : along + width]
            per_group = seen.reshape(groups, -1, height, width)
            taps = weight[:, :, i, j].reshape(groups, -1, weight.shape[1])
            total += torch.einsum("goc,gchw->gohw", taps, per_group).reshape(total.shape)
    return total if layer.bias is None else total + layer.bias[:, None, None]


def mixed(layer, values):
    """Apply a 1x1 convolution or a linear layer to the first dimension: (C, ...) -> (D, ...)."""
    shape = (-1,) + (1,) * (values.dim() - 1)
    matrix = layer.weight.reshape(layer.weight.shape[:2])
    return torch.einsum("oc,c...->o...", matrix, values) + layer.bias.reshape(shape)


def normed(norm, values):
    """Apply a batch norm in eval to the first dimension: (C, ...) -> (C, ...)."""
    shape = (-1,) + (1,) * (values.dim() - 1)
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return (values - norm.running_mean.reshape(shape)) * scale.reshape(shape) + norm.bias.reshape(
        shape
    )


def randomised(module):
    """Give every batch norm statistics and an affine part of its own, in double precision, eval."""
    module.double().eval()
    with torch.no_grad():
        for norm in module.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.running_mean.normal_()
                norm.running_var.uniform_(0.5, 2)
                norm.weight.normal_()
                norm.bias.normal_()
    return module
