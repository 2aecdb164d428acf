"""Atomic replacement of a record file: at any instant it is the old one or the new one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from attnbench.errors import RecordError
from attnbench.records.store import read_run
from attnbench.utils.text import shown_path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock the file's folder against writes of other runs while entered.

    Raises:
        RecordError: a run is writing into it, or the folder cannot be written.
    """
    lock = FileLock(str(path.parent / ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RecordError(
            f"a run is writing to {shown_path(path.parent)}; wait for its end"
        ) from None
    except OSError as error:
        raise _unwritten(path, error) from error
    try:
        yield
    finally:
        lock.release()


def replace_file(path: Path, content: bytes) -> None:
    """Replace a record file by a new one.

    Raises:
        RecordError: it cannot be written, or is no record file; the old file is unchanged.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write(beside, content)
        shutil.copymode(path, beside)
        read_run(beside)  # validated before the old one is replaced
        beside.replace(path)
    except OSError as error:
        raise _unwritten(path, error) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Write the new name to disk, where folders can be synced."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _unwritten(path: Path, error: OSError) -> RecordError:
    return RecordError(f"{shown_path(path)} cannot be written and is left as it was: {error}")
