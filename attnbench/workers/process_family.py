"""Processes that a worker has started, also those that have left its group or survived it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import psutil

MARK = "ATTNBENCH_WORKER"
"""Environment variable with a random text, which all processes below a worker inherit."""
_ROUNDS = 3
"""Number of searches: a process may fork while others are killed."""


def kill_family(pid: int, mark: str) -> None:
    """Kill a worker, its process group, its children and all processes with its mark."""
    children = children_of(pid)
    with suppress(OSError, AttributeError):  # no such group; Windows
        os.killpg(pid, signal.SIGKILL)
    _kill(children)
    for _ in range(_ROUNDS):
        survivors = list(_marked(mark))
        if not survivors:
            return
        _kill(survivors)


def children_of(pid: int) -> list[psutil.Process]:
    """Return all processes below a process; none if it has ended."""
    found: list[psutil.Process] = []
    with suppress(psutil.Error):
        found = psutil.Process(pid).children(recursive=True)
    return found


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.kill()


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                yield process
