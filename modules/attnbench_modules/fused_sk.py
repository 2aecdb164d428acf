"""The inference form of SK.

The batch norms are folded. The softmax of two scores is the sigmoid of their difference, so one
layer of half the size gives the choice, and the mixing is one pass: y = u2 + a (u1 - u2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnbench_modules._folding import traced
from attnbench_modules._pooling import channel_means


class FusedSK(nn.Module):
    """SK in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(
        self, near: nn.Conv2d, far: nn.Conv2d, squeeze: nn.Linear, select: nn.Linear
    ) -> None:
        """Take the layers with their batch norms folded in; ``select`` gives both scores."""
        super().__init__()
        self.near = near
        self.far = far
        self.squeeze = squeeze
        first, second = select.weight.detach().double().chunk(2)
        self.select = nn.Parameter((first - second).to(select.weight), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix what both convolutions give: (B, C, H, W) -> (B, C, H, W)."""
        near, far = self.near(x).relu_(), self.far(x).relu_()
        pooled = (channel_means(near) + channel_means(far)).flatten(1)  # (B, C)
        hidden = self.squeeze(pooled).relu_()
        share = nn.functional.linear(hidden, self.select).sigmoid_()[..., None, None]
        # other runtimes have no operator for the one pass
        return far + share * (near - far) if traced() else torch.lerp(far, near, share)
