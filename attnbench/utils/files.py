"""Atomic replacement of files: at any instant a file is the old one or the new one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attnbench.errors import OutputError
from attnbench.utils.text import shown_path


@contextmanager
def atomic_write(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path in the same folder; its file replaces ``path`` at the end.

    After an error or without a new file, ``path`` is unchanged and the temporary file is removed.

    Args:
        path: the file to replace or create; its folder is created if absent.
        durable: whether the file is on disk before it replaces the old one, whose mode it keeps.

    Raises:
        OutputError: it cannot be written; the error names the path and the reason.
    """
    # in the same folder, as a rename works within one file system only
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if durable:
            with suppress(FileNotFoundError):  # a new file has the mode of the user's files
                shutil.copymode(path, temporary)
            _sync(temporary)
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{shown_path(path)} cannot be written: {reason}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    if durable:
        with suppress(OSError):  # the new name; not every system can sync folders
            _sync(path.parent)


def replace_file(path: Path, content: str | bytes, *, durable: bool = False) -> Path:
    """Replace a file by new content, and return its path. Text is written as UTF-8."""
    with atomic_write(path, durable=durable) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
