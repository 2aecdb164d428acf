"""Back to the memory layout that the map came in."""

from __future__ import annotations

from torch import Tensor

from attnbench_modules._folding import traced
from attnbench_modules._pooling import channels_last


def laid_out_back(made: Tensor, x: Tensor) -> Tensor:
    """Return what was made of a map in the memory layout of the map: (B, C, H, W) -> the same.

    A network would go on in the other layout behind it. A graph for another runtime has no layouts.
    """
    return made if traced() or channels_last(x) else made.contiguous()
