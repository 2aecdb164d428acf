"""Device memory: the measured peak of a call, and the handling of out-of-memory errors.

Written from PyTorch's documentation and tested against a simulated device; not yet run on a real
accelerator.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from attnbench.errors import DeviceError
from attnbench.utils.text import first_line

_Result = TypeVar("_Result")


def measure_peak(call: Callable[[], object], accelerator: Any, device: str) -> int | None:
    """Return the peak bytes of a call above the bytes that were allocated before it.

    The weights and the bound input are allocated before and do not count; the output does. A
    warm-up call precedes the measurement and allocates the workspaces that libraries keep. A
    replayed CUDA graph allocates nothing, so measure the call that was captured.

    Args:
        call: one inference.
        accelerator: ``torch.accelerator``, or a substitute.
        device: ``"cuda:0"``.

    Returns:
        The bytes; None where the device's allocator keeps no statistics.

    Raises:
        DeviceError: the device ran out of memory.
    """

    def measure() -> int | None:
        call()
        accelerator.synchronize(device)
        try:
            accelerator.reset_peak_memory_stats(device)
            before = int(accelerator.memory_allocated(device))
        except (RuntimeError, NotImplementedError):
            return None
        call()
        accelerator.synchronize(device)
        return int(accelerator.max_memory_allocated(device)) - before

    return raise_out_of_memory(measure, accelerator.empty_cache)


def raise_out_of_memory(call: Callable[[], _Result], empty_cache: Callable[[], object]) -> _Result:
    """Return the result of ``call``; when the device runs out of memory, clean up and raise.

    This is a function and not a context manager: the error keeps the frames, and with them the
    tensors, alive until the end of the ``except`` clause; only then can the memory be released.

    Raises:
        DeviceError: out of memory.
    """
    try:
        return call()
    except RuntimeError as error:
        # MPS raises a plain RuntimeError, "MPS backend out of memory (...)"
        out_of_memory = import_module("torch").OutOfMemoryError
        if not isinstance(error, out_of_memory) and "out of memory" not in str(error):
            raise
        reason = first_line(error).partition(" GPU ")[0]  # the rest is the allocator's state
    gc.collect()
    empty_cache()
    raise DeviceError(f"out of device memory: {reason}; a smaller batch needs less")
