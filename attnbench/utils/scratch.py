"""Scratch folders; those of processes that were killed are removed by the next process."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "attnbench-"
_LOCK = ".alive"
"""File in a scratch folder that its process keeps locked; the system unlocks it at any death."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a new folder for temporary files, and remove it at the end."""
    _sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        new = folder / f"{_LOCK}.new"
        new.touch()
        with _locked(new):
            new.rename(folder / _LOCK)  # never there without being locked
            yield folder


def _sweep(place: Path) -> None:
    """Remove the scratch folders of processes that have ended."""
    for lock in place.glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError), _locked(lock):
            shutil.rmtree(lock.parent, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock a file while entered; raise OSError if another process has locked it."""
    with path.open("rb") as file:
        if os.name == "posix":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
