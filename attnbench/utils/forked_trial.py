"""Trial of a plugin's code in a forked copy of this process: a crash or a hang ends the copy.

Trials are for the process of a command, which nothing watches. They are made on Linux alone: where
libraries have been loaded, a copy of the process is not safe elsewhere.
"""

from __future__ import annotations

import faulthandler
import logging
import math
import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import import_module
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import NoReturn, TypeVar

from attnbench.errors import PluginError
from attnbench.utils.crash_dump import place_of
from attnbench.utils.escape import visible

IMPORT, FIRST_PASS = "import", "first forward pass"
"""Stages of a plugin that are tried."""
_LIMIT_S = 600.0
"""Seconds of a trial, as of a case in a worker: extensions may be compiled in it."""
_LONG_S = 10.0
"""Seconds of a trial after which it is reported."""
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.001, 0.05
_SURVIVED = 117
"""Exit status of a copy that reached the end."""
_LIBRARIES = ("torch", "torchvision", "timm")
"""Libraries that take seconds to import: this process imports them, instead of each copy."""
_SET_DEATH_SIGNAL = 1
"""``PR_SET_PDEATHSIG`` of Linux: the signal that a process gets when its parent ends."""
T = TypeVar("T")


class TrialError(PluginError):
    """An action that ends or hangs Python."""


_ENABLED: ContextVar[bool] = ContextVar("trials", default=False)


@contextmanager
def trials(enabled: bool = True) -> Iterator[None]:
    """Switch the trials of :func:`run_after_trial` on, or off, while entered."""
    before = _ENABLED.set(enabled)
    try:
        yield
    finally:
        _ENABLED.reset(before)


def run_after_trial(action: Callable[[], T], name: str, stage: str) -> T:
    """Return the result of an action; where trials are on, a copy of this process runs it first.

    Output and exceptions of the copy are discarded, as the action repeats them.

    Args:
        action: action that runs code of a plugin.
        name: name of the plugin or module in messages.
        stage: :data:`IMPORT` or :data:`FIRST_PASS`.

    Raises:
        TrialError: the copy crashed, ended or did not end within ten minutes.
    """
    if not _ENABLED.get():
        return action()
    with trials(False):  # none within another
        _try(action, name, stage)
        return action()


def _try(action: Callable[[], object], name: str, stage: str) -> None:
    """Raise :class:`TrialError` unless a copy of this process survives an action."""
    if sys.platform != "linux":
        return
    try:
        with tempfile.TemporaryFile() as dump:
            status = _status_in_fork(action, dump.fileno(), f"the {stage} of {name}")
            dump.seek(0)
            text = dump.read().decode(errors="replace")
    except OSError:  # no room for another process
        return
    library = _LIBRARY_OF.get(status)
    if library and library not in sys.modules:
        with suppress(Exception):  # the action repeats it
            import_module(library)
        if library in sys.modules:
            _try(action, name, stage)
    elif status != _SURVIVED:
        place = place_of(text)
        raise TrialError(f"{name} {_ending(status, stage, text)}" + (f" {place}" if place else ""))


def _ending(status: int, stage: str, dump: str) -> str:
    if dump.startswith("Timeout"):
        return f"hangs during its {stage}: got no end within {_LIMIT_S:g} s"
    how = f"exit status {status}"
    if status < 0:
        with suppress(ValueError):
            how = signal.Signals(-status).name
    return f"ends Python during its {stage}: got {how}"


def _status_in_fork(action: Callable[[], object], dump: int, what: str) -> int:
    """Return the exit status, or the negative signal, of a copy that runs an action."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12, beside other threads
        pid = os.fork()
    if pid == 0:
        _run(action, dump)
    try:
        return _wait(pid, what)
    except KeyboardInterrupt:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        raise KeyboardInterrupt(f"during {what}") from None
    finally:
        with suppress(OSError):  # processes that the plugin has started
            os.killpg(pid, signal.SIGKILL)


def _wait(pid: int, what: str) -> int:
    message = f"attnbench: {what} takes long; it is ended after {_LIMIT_S:g} s"
    deadline, pause_s = time.monotonic() + _LONG_S, _SHORTEST_PAUSE_S
    while True:
        # with pauses: a signal just before an unlimited wait would be missed
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            logging.getLogger("attnbench").warning("%s", visible(message))
            deadline = math.inf
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _run(action: Callable[[], object], dump: int) -> NoReturn:
    """Run an action in this process, which is a copy, and end."""
    try:
        import ctypes

        os.setsid()
        with suppress(AttributeError):
            ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
        with Path(os.devnull).open("r+b") as null:
            for number in range(3):
                os.dup2(null.fileno(), number)
        faulthandler.disable()  # a library may have replaced its handlers, unknown to it
        faulthandler.enable(dump, all_threads=False)
        faulthandler.dump_traceback_later(_LIMIT_S, exit=True, file=dump)
        sys.meta_path.insert(0, _LibraryFinder())
        _use_one_thread()
        action()
    finally:
        os._exit(_SURVIVED)


def _use_one_thread() -> None:
    """Compute without OpenMP's other threads, which a copy of a process lacks, for good."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
        vars(torch)["set_num_threads"] = id


class _LibraryFinder(MetaPathFinder):
    """Finder that ends a copy where it would import a library."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        """End this process with the exit status of a library."""
        for status, library in _LIBRARY_OF.items():
            if fullname == library:
                os._exit(status)


_LIBRARY_OF = dict(enumerate(_LIBRARIES, _SURVIVED + 1))
"""Libraries by the exit status of a copy that would have imported them."""
