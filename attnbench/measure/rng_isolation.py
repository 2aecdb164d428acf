"""What a module draws at random in training, apart from what the backbone draws."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnbench.training.seeds import stream


def draw_apart(inserted: nn.Module, path: str) -> None:
    """Let an inserted module draw from a stream of its own whenever it is called in training.

    The generator is put back behind it: the backbone's dropout drops what it drops in the other
    arms of the seed. A network that is compiled does without.

    Args:
        inserted: an :class:`~attnbench.models.inserted.Inserted`.
        path: where it is in the network; modules of other paths draw otherwise.
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

    # not on the module itself, as a scripted one takes no hooks; copies keep what these refer to
    inserted.get_submodule("block").register_forward_hook(enter)
    inserted.register_forward_hook(leave)
