"""Guard around the import of a plugin, which runs in the process of the command."""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from attnbench.utils.escape import visible

_LONG_S = 10.0
"""Seconds of an import after which the plugin is named; torch alone takes five."""
_LOADING: list[str] = []


def plugin_being_loaded() -> str:
    """Return the place of the plugin whose import is under way; empty if there is none."""
    return _LOADING[-1] if _LOADING else ""


@contextmanager
def guarded_import(place: str) -> Iterator[None]:
    """Import a plugin while entered: name it if it hangs or crashes, refuse that it ends Python.

    Raises:
        SystemExit: it called ``os._exit``.
    """
    timer = threading.Timer(_LONG_S, _report_slow, (place,))
    timer.daemon = True
    timer.start()
    _LOADING.append(place)
    try:
        with _crashes_named(), _exit_refused():
            yield
    finally:
        _LOADING.remove(place)
        timer.cancel()


def _report_slow(place: str) -> None:
    logging.getLogger("attnbench").warning("attnbench: still loading plugin %s", visible(place))


@contextmanager
def _crashes_named() -> Iterator[None]:
    """Print the plugin's file and line if it crashes the interpreter."""
    is_new = not faulthandler.is_enabled()
    if is_new:
        with suppress(OSError, ValueError):  # standard error is no file
            faulthandler.enable(all_threads=False)
    try:
        yield
    finally:
        if is_new:
            faulthandler.disable()


@contextmanager
def _exit_refused() -> Iterator[None]:
    """Raise SystemExit in place of ``os._exit``, which would end the command without a word."""
    process, leave = os.getpid(), os._exit

    def refuse(status: int) -> NoReturn:
        if os.getpid() != process:  # a process that the plugin has forked
            leave(status)
        raise SystemExit(f"it ends the process with os._exit({status})")

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = leave
