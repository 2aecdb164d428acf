"""What stands in a network where a module was put."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Inserted(nn.Module):
    """A block with an attention module behind it; where the block was replaced, it is Identity.

    Keys of the plain network map in one way: ``P.rest`` becomes ``P.block.rest``.
    (B, C, H, W) -> (B, C, H', W').
    """

    def __init__(self, block: nn.Module, attention: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        """Return ``attention(block(x))``."""
        out: Tensor = self.attention(self.block(x))
        # ResNets add in place to a block's output, and activations run in place on it: that must
        # not overwrite what the attention saved for its backward pass.
        return out.clone() if out.requires_grad and not torch.compiler.is_exporting() else out
