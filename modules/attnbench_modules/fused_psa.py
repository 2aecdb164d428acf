"""The inference form of pyramid squeeze attention, and the choice that both forms share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from attnbench_modules._folding import copied
from attnbench_modules._large_kernel import workable
from attnbench_modules._layout import laid_out_back
from attnbench_modules._pooling import channel_means

LANES = 16
"""Groups of so many channels, or of multiples, are as fast in either memory layout."""


class FusedPSA(nn.Module):
    """Pyramid squeeze attention in eval, faster: (B, C, H, W) -> (B, C, H, W).

    A CPU convolves groups of 3 or 20 channels two to four times as fast where the channels of a
    position lie together, and groups of 16, 32, ... are no faster there: the layout is chosen by
    the widths, and the map goes back in the layout that it came in.
    """

    def __init__(
        self, branches: Iterable[nn.Module], squeeze: nn.Linear, excite: nn.Linear
    ) -> None:
        """Take the plain layers, which are copied."""
        super().__init__()
        self.branches = nn.ModuleList(copied(branch) for branch in branches)
        self.squeeze = copied(squeeze)
        self.excite = copied(excite)
        widths = [cast(nn.Conv2d, branch).weight.shape[1] for branch in self.branches]
        self.last = any(width % LANES for width in widths)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh what the four convolutions give: (B, C, H, W) -> (B, C, H, W)."""
        laid_out = workable(x) if self.last else x
        features = torch.cat([branch(laid_out) for branch in self.branches], dim=1)
        y = features * shares(features, self.squeeze, self.excite, len(self.branches))
        return laid_out_back(y, x)


def shares(features: Tensor, squeeze: nn.Linear, excite: nn.Linear, branches: int) -> Tensor:
    """Return the share of each branch, a softmax over them: (B, C, H, W) -> (B, C, 1, 1)."""
    means = channel_means(features).flatten(1)
    pooled = torch.unflatten(means, 1, (branches, -1))  # (B, 4, C/4)
    scores = torch.sigmoid(excite(torch.relu(squeeze(pooled))))
    return scores.softmax(1).flatten(1)[..., None, None]
