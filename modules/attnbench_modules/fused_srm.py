"""The inference form of SRM: the batch norm is folded into the weights of mean and deviation."""

from __future__ import annotations

from torch import Tensor, nn

from attnbench_modules._pooling import channel_means, variances


class FusedSRM(nn.Module):
    """SRM in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, weights: Tensor, shift: Tensor, eps: float) -> None:
        """Take weights, (C, 2), and shift, (C), with the batch norm folded in."""
        super().__init__()
        mean, deviation = weights[..., None, None].unbind(1)
        self.mean = nn.Parameter(mean.contiguous(), requires_grad=False)
        self.deviation = nn.Parameter(deviation.contiguous(), requires_grad=False)
        self.shift = nn.Parameter(shift[:, None, None], requires_grad=False)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels: (B, C, H, W) -> (B, C, H, W)."""
        means = channel_means(x)
        deviation = (variances((x - means).square()) + self.eps).sqrt()
        scores = self.mean * means + self.deviation * deviation + self.shift
        return x * scores.sigmoid()
