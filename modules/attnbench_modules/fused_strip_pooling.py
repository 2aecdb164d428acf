"""The inference form of strip pooling: the batch norms are folded into the strips' convolutions."""

from __future__ import annotations

from torch import Tensor, nn

from attnbench_modules._pooling import across, column_means, row_means


class FusedStripPooling(nn.Module):
    """Strip pooling in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, rows: nn.Conv2d, columns: nn.Conv2d, mix: nn.Conv2d) -> None:
        """Take the convolutions along both strips, norms folded in, and the last layer."""
        super().__init__()
        self.rows = rows
        self.columns = columns
        self.mix = mix

    def forward(self, x: Tensor) -> Tensor:
        """Gate each value: (B, C, H, W) -> (B, C, H, W)."""
        both = across(self.rows(row_means(x)), self.columns(column_means(x)), x)
        gate: Tensor = self.mix(both.relu_())
        return x * gate.sigmoid_()
