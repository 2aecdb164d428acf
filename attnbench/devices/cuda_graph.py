"""CUDA graphs: the capture of a call, and the check that its replay computes something.

Written from PyTorch's documentation and tested against a simulated device; not yet run on a real
GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attnbench.errors import DeviceError
from attnbench.utils.text import first_line

Call = Callable[[], object]

_WARM_UP = 3
"""Calls before a capture: lazy initialization and autotuning must not be captured."""
_CLOSE = 0.01
"""Difference of a replay from the call, relative to the largest value, that is rounding."""


def capture_graph(call: Call, index: int, cuda: Any) -> Call:
    """Return a call that replays the device work of ``call``.

    It reads and writes the memory that was bound when it was captured, and returns the tensor that
    the replay overwrites. Its first replay is compared with the call: a capture on another device
    is empty, and raises nothing.

    Args:
        call: one inference on bound tensors, which returns its output, without synchronization or
            control flow on values.
        index: index of the device of these tensors.
        cuda: ``torch.cuda``, or a substitute.

    Raises:
        DeviceError: the call cannot be captured, or its replay does not compute its output; the
            message has the reason.
    """
    try:
        with cuda.device(index):
            expected, output, replay = _capture(call, index, cuda)
    except Exception as error:  # any operation that a capture forbids
        reason = f"no CUDA graph: the call cannot be captured: {first_line(error)}"
        raise DeviceError(reason) from None
    if not _computes(replay, output, expected, lambda: cuda.synchronize(index)):
        raise DeviceError(
            f"no CUDA graph: its replay does not compute the output of the call: the graph is "
            f"empty, or of another device than cuda:{index}"
        )

    bound = (call, output)  # a graph keeps no tensor alive, neither weights nor input

    def run() -> object:
        replay()
        return bound[1]

    return run


def _capture(call: Call, index: int, cuda: Any) -> tuple[Any, Any, Call]:
    """Return the output of the call, the tensor that replays overwrite, and the replay."""
    side = cuda.Stream(device=index)  # the default stream cannot be captured
    main = cuda.current_stream(index)
    side.wait_stream(main)
    with cuda.stream(side):
        for _ in range(_WARM_UP - 1):
            call()
        warm: Any = call()
        expected = warm.clone()
    main.wait_stream(side)
    graph = cuda.CUDAGraph()
    with cuda.graph(graph, stream=side):
        output = call()
    return expected, output, graph.replay


def _computes(replay: Call, output: Any, expected: Any, synchronize: Call) -> bool:
    """Return whether a replay overwrites an emptied output with the expected values."""
    import torch

    with torch.inference_mode():
        output.zero_()
        replay()
        synchronize()
        wanted = expected.double().nan_to_num()
        difference = (output.double().nan_to_num() - wanted).abs().max().item()
        return bool(difference <= _CLOSE * wanted.abs().max().item())
