"""Exporters shout: on both streams, from C code, through logging and warnings. Here they do not."""

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
    """While entered, nothing reaches standard output or standard error, nor warns.

    Yields what returns the text so far, from C code too: some give their reasons nowhere else.
    """
    before = logging.root.manager.disable
    with ExitStack() as stack:
        said = stack.enter_context(tempfile.TemporaryFile("w+", errors="replace"))
        for number, stream in ((1, sys.stdout), (2, sys.stderr)):
            stack.enter_context(_elsewhere(number, stream, said.fileno()))
        stack.enter_context(redirect_stdout(said))
        stack.enter_context(redirect_stderr(said))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.callback(logging.disable, before)
        logging.disable(logging.CRITICAL)
        yield lambda: _text(said)


@contextmanager
def _elsewhere(number: int, stream: object, target: int) -> Iterator[None]:
    """Send a file descriptor elsewhere; a process without it (a service) has nothing to silence."""
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


def _text(said: TextIO) -> str:
    said.flush()
    # read by position: both descriptors write where the shared offset stands
    return os.pread(said.fileno(), _LONGEST, 0).decode(errors="replace")


def _flush(stream: object) -> None:
    with suppress(AttributeError, OSError, ValueError):
        stream.flush()  # type: ignore[attr-defined]
