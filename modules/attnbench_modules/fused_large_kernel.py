"""The inference forms of the gates of large kernels: convolutions where they are fast."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from attnbench_modules._large_kernel import workable
from attnbench_modules._pooling import mean_and_max


class FusedLargeKernel(nn.Module):
    """LKA and LSKA in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, surroundings: nn.Module, mix: nn.Conv2d) -> None:
        """Take the depthwise convolutions and the 1x1 one."""
        super().__init__()
        self.surroundings = surroundings
        self.mix = mix

    def forward(self, x: Tensor) -> Tensor:
        """Scale each value: (B, C, H, W) -> (B, C, H, W)."""
        gate: Tensor = self.mix(self.surroundings(workable(x)))
        return x * gate


class FusedMSCA(nn.Module):
    """MSCA in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(
        self,
        square: nn.Conv2d,
        along: Iterable[nn.Module],
        down: Iterable[nn.Module],
        mix: nn.Conv2d,
    ) -> None:
        """Take the 5x5 convolution, the strips along rows and down columns, and the 1x1 one."""
        super().__init__()
        self.square = square
        self.along = nn.ModuleList(along)
        self.down = nn.ModuleList(down)
        self.mix = mix

    def forward(self, x: Tensor) -> Tensor:
        """Scale each value: (B, C, H, W) -> (B, C, H, W)."""
        square: Tensor = self.square(workable(x))
        scales = square
        for along, down in zip(self.along, self.down, strict=True):
            scales = down(along(square)).add_(scales)
        gate: Tensor = self.mix(scales)
        return x * gate


class FusedLSK(nn.Module):
    """LSK in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(
        self,
        near: nn.Module,
        far: nn.Module,
        mixes: tuple[nn.Conv2d, nn.Conv2d],
        select: nn.Conv2d,
        mix: nn.Conv2d,
    ) -> None:
        """Take the depthwise convolutions, the 1x1 ones behind them, the choice, the last layer."""
        super().__init__()
        self.near = near
        self.far = far
        self.mix_near, self.mix_far = mixes
        self.select = select
        self.mix = mix

    def forward(self, x: Tensor) -> Tensor:
        """Scale each value: (B, C, H, W) -> (B, C, H, W)."""
        near = self.near(workable(x))
        far = self.mix_far(self.far(near))
        near = self.mix_near(near)
        choice = torch.sigmoid(self.select(mean_and_max(near, far)))  # (B, 2, H, W)
        gate: Tensor = self.mix(near * choice[:, :1] + far * choice[:, 1:])
        return x * gate
