"""Capture of the output of exporters: both streams, also from C code, logging and warnings."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import TextIO

_LONGEST = 1 << 20


@contextmanager
def silenced() -> Iterator[Callable[[], str]]:
    """Suppress standard output, standard error, logging and warnings while entered.

    Yields a function that returns the text captured so far, including that of C code: some
    exporters report the reason of a failure only there.
    """
    before = logging.root.manager.disable
    with ExitStack() as stack:
        captured = stack.enter_context(tempfile.TemporaryFile("w+", errors="replace"))
        for number, stream in ((1, sys.stdout), (2, sys.stderr)):
            stack.enter_context(_elsewhere(number, stream, captured.fileno()))
        stack.enter_context(redirect_stdout(captured))
        stack.enter_context(redirect_stderr(captured))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.callback(logging.disable, before)
        logging.disable(logging.CRITICAL)
        yield lambda: _text(captured)


@contextmanager
def _elsewhere(number: int, stream: object, target: int) -> Iterator[None]:
    """Redirect a file descriptor; a process without it (a service) has nothing to suppress."""
    try:
        kept = os.dup(number)
    except OSError:
        yield
        return
    _flush(stream)
    os.dup2(target, number)
    try:
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)


def _text(captured: TextIO) -> str:
    captured.flush()
    # read by position: both descriptors write at their shared offset
    return os.pread(captured.fileno(), _LONGEST, 0).decode(errors="replace")


def _flush(stream: object) -> None:
    with suppress(AttributeError, OSError, ValueError):
        stream.flush()  # type: ignore[attr-defined]
