"""Memory on a device: what a call holds at most, and what is done when there is not enough.

Written from PyTorch's documentation and tested against a simulated device; not yet run on a real
accelerator.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, TypeVar

from attnbench.errors import DeviceError
from attnbench.utils.text import first_line

_Result = TypeVar("_Result")


def measured_peak(call: Callable[[], object], accelerator: Any, device: str) -> int | None:
    """Return the bytes that a call holds at most above what was allocated before it.

    The weights and the bound input are there before and do not count; the output does. A first
    call goes before: the workspaces that libraries keep are allocated by it. A replayed CUDA graph
    allocates nothing, so measure the call that was captured.

    Args:
        call: one inference.
        accelerator: ``torch.accelerator``, or what behaves like it.
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

    return within_memory(measure, accelerator.empty_cache)


def within_memory(call: Callable[[], _Result], empty_cache: Callable[[], object]) -> _Result:
    """Return what ``call`` returns; where the device runs out of memory, clean up and say so.

    A function and not a context manager: the error holds the frames, and with them the tensors,
    until its ``except`` clause is left; only then can the memory be returned.

    Raises:
        DeviceError: out of memory.
    """
    try:
        return call()
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        reason = first_line(error).partition(" GPU ")[0]  # the rest is the allocator's state
    gc.collect()
    empty_cache()
    raise DeviceError(f"out of device memory: {reason}; a smaller batch needs less")


def _is_out_of_memory(error: RuntimeError) -> bool:
    import torch

    # MPS raises a plain RuntimeError, "MPS backend out of memory (...)"
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error)
