"""CUDA graphs: a call recorded once and replayed without Python.

Written from PyTorch's documentation and tested against a simulated device; not yet run on a real
GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attnbench.errors import DeviceError
from attnbench.utils.text import first_line

_WARM_UP = 3  # lazy initialization and autotuning must not be captured


def graphed(call: Callable[[], object], cuda: Any = None) -> Callable[[], object]:
    """Return a call that replays the device work of ``call``.

    It reads and writes the memory that was bound when it was captured, and returns None.

    Args:
        call: one inference on bound tensors, without synchronization or control flow on values.
        cuda: ``torch.cuda``, or a substitute.

    Raises:
        DeviceError: the call cannot be captured; the message has the reason.
    """
    if cuda is None:
        import torch

        cuda = torch.cuda
    try:
        _warm_up(call, cuda)
        graph = cuda.CUDAGraph()
        with cuda.graph(graph):
            call()
    except Exception as error:  # any operation that a capture forbids
        raise DeviceError(
            f"no CUDA graph: the call cannot be captured: {first_line(error)}"
        ) from None
    replay: Callable[[], object] = graph.replay
    return replay


def _warm_up(call: Callable[[], object], cuda: Any) -> None:
    """Run the call on a side stream, as the default stream cannot be captured."""
    side = cuda.Stream()
    side.wait_stream(cuda.current_stream())
    with cuda.stream(side):
        for _ in range(_WARM_UP):
            call()
    cuda.current_stream().wait_stream(side)
