"""Signals that end a command. Standard library only, as nothing else may be imported before."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType

INTERRUPTED = "attnbench: interrupted"
STATUS = 130
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_ENDING = {getattr(signal, name) for name in _NAMES if hasattr(signal, name)}
"""Signals that end a command in order: Ctrl-C, `kill` and `timeout`, a closed terminal."""
_IMPORTER = "<frozen importlib._bootstrap>"


def handle_signals() -> None:
    """Let the signals raise KeyboardInterrupt, or end the process where that would be swallowed."""
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, or a shell's background
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End the command: the worker is terminated and the records are kept."""
    # `timeout` sends its signal twice, and the second must not interrupt the shutdown; Ctrl-C may
    for ignored in _ENDING - {signal.SIGINT}:
        signal.signal(ignored, signal.SIG_IGN)
    if _is_importing(frame):  # libraries swallow an exception there, and fail later
        with suppress(OSError):  # a closed stream
            os.write(2, f"{INTERRUPTED}\n".encode())
        os._exit(STATUS)
    raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTER:
            return True
        frame = frame.f_back
    return False
