"""Isolation of a module's random numbers in training from those of the backbone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnbench.training.seeds import stream


def draw_apart(inserted: nn.Module, path: str) -> None:
    """Make an inserted module use a random stream of its own whenever it is called in training.

    The generator is restored afterwards: the backbone's dropout masks equal those of the other
    arms with the same seed. A compiled network has no such isolation.

    Args:
        inserted: an :class:`~attnbench.models.block_layers.Inserted`.
        path: its path in the network; each path has a stream of its own.
    """
    states: list[tuple[Tensor, Tensor | None]] = []

    def enter(block: nn.Module, inputs: object, output: Tensor) -> None:
        if block.training and not torch.compiler.is_compiling():
            on_gpu = torch.cuda.get_rng_state(output.device) if output.is_cuda else None
            states.append((torch.get_rng_state(), on_gpu))
            torch.manual_seed(stream("drawn", path, int(torch.randint(2**62, ()))))

    def leave(module: nn.Module, inputs: object, output: Tensor) -> None:
        if states:
            state, on_gpu = states.pop()
            torch.set_rng_state(state)
            if on_gpu is not None:
                torch.cuda.set_rng_state(on_gpu, output.device)

    # not on the module itself, as scripted modules accept no hooks; copies keep these closures
    inserted.get_submodule("block").register_forward_hook(enter)
    inserted.register_forward_hook(leave)
