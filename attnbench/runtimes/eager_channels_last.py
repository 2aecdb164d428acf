"""PyTorch eager with channels innermost in memory, which its CPU convolutions prefer."""

from __future__ import annotations

from typing import Any, ClassVar

from attnbench.runtimes.eager import Eager


class EagerChannelsLast(Eager):
    """PyTorch, eager, weights and input in ``torch.channels_last``."""

    name: ClassVar[str] = "eager-channels-last"
    title: ClassVar[str] = "PyTorch eager, channels last"

    @property
    def memory_format(self) -> Any:
        """The memory format of weights and input."""
        import torch

        return torch.channels_last
