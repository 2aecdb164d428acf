"""The wrapper module of a block with an inserted attention module."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Inserted(nn.Module):
    """A block followed by an attention module; a replaced block is an Identity.

    The keys of the plain network map as follows: ``P.rest`` becomes ``P.block.rest``.
    (B, C, H, W) -> (B, C, H', W').
    """

    def __init__(self, block: nn.Module, attention: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        """Return ``attention(block(x))``."""
        out: Tensor = self.attention(self.block(x))
        # ResNets add in place to a block's output, and activations run in place on it: this must
        # not overwrite the tensors that the attention saved for its backward pass.
        return out.clone() if out.requires_grad and not torch.compiler.is_exporting() else out
