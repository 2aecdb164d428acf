"""Norms that take a single value, where torch's refuse it: of pooled vectors, of 1x1 maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BatchNorm(nn.BatchNorm2d):
    """Batch norm that falls back on its running statistics where there is one value a channel.

    One value has no variance, and torch refuses it in training: the pooled vector at batch 1.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each channel: (B, C, H, W) -> (B, C, H, W)."""
        if not self.training or input.numel() > input.shape[1]:
            return super().forward(input)
        return F.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class GroupNorm(nn.GroupNorm):
    """torch's group norm, but of a single value it is the bias, where torch's refuses one.

    A group of one channel has a single value on a 1x1 map.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each group of channels of each image: (B, C, ...) -> (B, C, ...)."""
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


BATCH_NORM_NOTE = (
    "In training, a batch norm that sees one value a channel (a pooled vector at batch 1) uses its "
    "running statistics, where the original fails; nothing changes otherwise."
)
"""Deviation of every module that norms a pooled vector."""
