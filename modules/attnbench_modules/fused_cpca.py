"""The inference form of CPCA: channels last inside, and layers for vectors in the channel step.

Depthwise convolutions along strips take half the time channels last: a map that lies otherwise is
copied there and back, which costs less than it saves.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnbench_modules._folding import traced
from attnbench_modules._layers import MultiScale
from attnbench_modules._pooling import channel_maxima, channel_means, channels_last


class FusedCPCA(nn.Module):
    """CPCA in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(
        self, first: nn.Linear, second: nn.Linear, scales: MultiScale, mix: nn.Conv2d
    ) -> None:
        """Take the MLP, the depthwise convolutions, and the layer that runs three times."""
        super().__init__()
        self.first = first
        self.second = second
        self.scales = scales
        self.mix = mix

    def forward(self, x: Tensor) -> Tensor:
        """Mix and weigh: (B, C, H, W) -> (B, C, H, W)."""
        if traced() or not x.is_cpu or channels_last(x):
            return self._weighed(x)
        return self._weighed(x.contiguous(memory_format=torch.channels_last)).contiguous()

    def _weighed(self, x: Tensor) -> Tensor:
        x = F.gelu(self.mix(x))
        pooled = torch.stack([channel_means(x), channel_maxima(x)]).flatten(2)  # (2, B, C)
        of_means, of_maxima = self.second(self.first(pooled).relu_()).sigmoid_().unbind(0)
        x = x * (of_means + of_maxima)[..., None, None]
        y: Tensor = self.mix(x * self.mix(self.scales(x)))
        return y
