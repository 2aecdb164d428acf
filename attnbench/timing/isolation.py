"""Controlled conditions during timing: garbage collector, CPU affinity, C heap."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from glibc's <malloc.h>
_LOOK_S = 0.2
"""Seconds over which CPU load is measured before cores are chosen."""


@contextmanager
def quiet(threads: int | None = None) -> Iterator[dict[str, Any]]:
    """Disable the garbage collector and pin the process to cores; restore both on exit.

    Garbage is collected, remaining objects are frozen, and the collector is off. With ``threads``
    the process is pinned to that many of its allowed cores; the caller sets the thread count of
    libraries (``torch.set_num_threads``).

    Args:
        threads: number of cores to pin to; ``None`` leaves the affinity unchanged.

    Yields:
        The fixed conditions: ``gc``, ``threads``, ``affinity`` (core numbers, or ``None`` where
        the system does not support affinity).
    """
    with _without_collector(), _pin(threads) as affinity:
        yield {"gc": "off", "threads": threads, "affinity": affinity}


def allowed_cores() -> list[int]:
    """Return the numbers of the CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _idlest_cores(cores: list[int], count: int) -> list[int]:
    """Return the ``count`` least busy cores, because another run may be pinned too.

    Among equally idle cores, the last are preferred: interrupts and other programs use the first.
    """
    busy = psutil.cpu_percent(interval=_LOOK_S, percpu=True)
    load = {core: busy[core] if core < len(busy) else 0.0 for core in cores}
    # differences of a few percent are noise
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
        if not frozen_before:  # otherwise the program froze objects itself: keep them
            gc.unfreeze()
        if was_on:
            gc.enable()


@contextmanager
def _pin(threads: int | None) -> Iterator[list[int] | None]:
    if not hasattr(os, "sched_setaffinity"):  # macOS, Windows
        yield None
        return
    before = os.sched_getaffinity(0)
    if threads is None or threads >= len(before):
        yield sorted(before)
        return
    chosen = sorted(_idlest_cores(sorted(before), threads))
    os.sched_setaffinity(0, chosen)
    try:
        yield chosen
    finally:
        os.sched_setaffinity(0, before)


def keep_heap() -> bool:
    """Configure glibc to keep freed memory; only for processes dedicated to timing.

    By default, glibc may return the memory of a large activation to the system at each free and
    fault it in again at the next call, or keep it. The behavior depends on the history of the
    process; it has changed the time of MobileNetV2 by a third between two copies.

    Returns:
        Whether the settings were accepted (glibc only).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    # 32 MiB is the maximum of the mmap threshold in glibc
    return bool(mallopt(_M_MMAP_THRESHOLD, 32 << 20) and mallopt(_M_TRIM_THRESHOLD, 1 << 30))
