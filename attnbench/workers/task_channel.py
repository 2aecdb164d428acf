"""Private channel of a worker process: tasks in, answers out. Standard library only.

A task is a line ``LABEL JSON`` on standard input, an answer a line ``LABEL JSON`` on standard
output; the label of an answer is that of its task, a random text with a number. Whatever else
measured code writes to the descriptors of its process carries no such label and is ignored. The
first line is a label alone: the answer to it says that the process is ready.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import NoReturn

_FAR = (4000, 900, 200)
"""Lowest numbers of the channel's descriptors; recipes for daemons close all low ones."""


class TaskChannel(io.TextIOBase):
    """Text stream of a worker: lines that are read are tasks, lines that are written are answers.

    Standard input is empty afterwards, and what is printed goes to standard error. The process ends
    together with its parent, even during a task that hangs.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        self._tasks = os.fdopen(_far_copy(0), encoding="utf-8")
        self._answers = os.fdopen(_far_copy(1), "wb")
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - before anything is imported
            os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)
        threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
        self._label = ""
        self.readline()

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        """Return the JSON of the next task with a newline; end when there are no more."""
        self._end_copies()
        line = self._tasks.readline()
        if not line:
            _end()
        label, _, text = line.partition(" ")
        self._label = label.strip()
        return text

    def write(self, text: str, /) -> int:
        """Write the JSON of an answer to the last task that was read; end if the parent is gone."""
        self._end_copies()
        try:
            # a line of its own, whatever measured code has left before it
            self._answers.write(f"\n{self._label} {text.strip()}\n".encode())
            self._answers.flush()
        except BrokenPipeError:
            _end()
        return len(text)

    def _end_copies(self) -> None:
        """End this process if measured code has forked it: it must not take part."""
        if os.getpid() != self._process:
            os._exit(1)


def _far_copy(descriptor: int) -> int:
    with suppress(ImportError):  # Windows
        import fcntl

        for number in _FAR:
            with suppress(OSError):  # above the limit of open files
                return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, number)
    return os.dup(descriptor)


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    _end()


def _end() -> NoReturn:
    """End this process and its children."""
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)
