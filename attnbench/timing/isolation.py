"""The conditions that are held fixed while something is timed."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil

_LOOK_S = 0.2
"""How long processors are watched before one is chosen."""


@contextmanager
def quiet(threads: int | None = None) -> Iterator[dict[str, Any]]:
    """Hold the interpreter and its place on the machine still; put all back afterwards.

    Garbage is collected, what remains is frozen, and the collector is off. With ``threads`` the
    process keeps to as many of the processors it may use; the thread count of a library
    (``torch.set_num_threads``) is the caller's to set.

    Args:
        threads: processors to keep to; ``None`` leaves the affinity alone.

    Yields:
        What was fixed: ``gc``, ``threads``, ``affinity`` (processor numbers, or ``None`` where
        the system has no affinity to set).
    """
    with ExitStack() as stack:
        stack.enter_context(_without_collector())
        affinity = stack.enter_context(_pinned(threads))
        yield {"gc": "off", "threads": threads, "affinity": affinity}


def allowed_cores() -> list[int]:
    """Return the numbers of the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def idlest(cores: list[int], count: int) -> list[int]:
    """Return so many of the cores, the least busy ones: another run may be pinned, too.

    Of equally idle ones the last: interrupts and other programs favour the first.
    """
    busy = psutil.cpu_percent(interval=_LOOK_S, percpu=True)
    load = {core: busy[core] if core < len(busy) else 0.0 for core in cores}
    # a few percent are noise
    return sorted(cores, key=lambda core: (round(load[core] / 20), -core))[:count]


@contextmanager
def _without_collector() -> Iterator[None]:
    was_on = gc.isenabled()
    frozen_before = gc.get_freeze_count()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        if not frozen_before:  # else the program froze objects of its own: they stay so
            gc.unfreeze()
        if was_on:
            gc.enable()


@contextmanager
def _pinned(threads: int | None) -> Iterator[list[int] | None]:
    if not hasattr(os, "sched_setaffinity"):  # macOS, Windows
        yield None
        return
    before = os.sched_getaffinity(0)
    if threads is None or threads >= len(before):
        yield sorted(before)
        return
    chosen = sorted(idlest(sorted(before), threads))
    os.sched_setaffinity(0, chosen)
    try:
        yield chosen
    finally:
        os.sched_setaffinity(0, before)
