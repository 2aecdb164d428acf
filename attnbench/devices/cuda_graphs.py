"""CUDA graphs: a call recorded once and replayed without Python.

Written from PyTorch's documentation and tested against a simulated device; not yet run on a real
GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attnbench.errors import DeviceError
from attnbench.utils.text import first_line

_WARM_UP = 3  # lazy initialisation and autotuning must not be captured


def graphed(call: Callable[[], object], cuda: Any = None) -> Callable[[], object]:
    """Return a call that replays the device work of ``call``.

    It reads and writes the memory that was bound when it was captured, and returns nothing.

    Args:
        call: one inference on bound tensors, without synchronisation or control flow on values.
        cuda: ``torch.cuda``, or what behaves like it.

    Raises:
        DeviceError: it cannot be captured; with the reason.
    """
    if cuda is None:
        import torch

        cuda = torch.cuda
    try:
        _warm_up(call, cuda)
        graph = cuda.CUDAGraph()
        with cuda.graph(graph):
            call()
    except Exception as error:  # whatever the call does that a capture forbids
        raise DeviceError(
            f"no CUDA graph: the call cannot be captured: {first_line(error)}"
        ) from None
    replay: Callable[[], object] = graph.replay
    return replay


def _warm_up(call: Callable[[], object], cuda: Any) -> None:
    """Run on a side stream, as the default one cannot be captured."""
    side = cuda.Stream()
    side.wait_stream(cuda.current_stream())
    with cuda.stream(side):
        for _ in range(_WARM_UP):
            call()
    cuda.current_stream().wait_stream(side)
