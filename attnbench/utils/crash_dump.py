"""The dump that Python's ``faulthandler`` writes of a process that crashes."""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path

from attnbench.utils.text import shown_path

SWITCH = {"PYTHONFAULTHANDLER": "1"}
"""Environment variables of a process that writes a dump to its standard error."""
_BEGIN = re.compile(r"^(Fatal Python error: |Timeout \()", re.MULTILINE)
_CURRENT = "Current thread"
_FRAME = re.compile(r'File "(.+)", line (\d+)')


def without_dump(output: str) -> str:
    """Return what a process wrote before its dump."""
    found = _BEGIN.search(output)
    return output[: found.start()] if found else output


def place_of(output: str) -> str:
    """Return ``at FILE:LINE``, the innermost frame of a dump that is of no library, or nothing.

    Of several threads, the frames are those of the one that crashed.
    """
    found = _BEGIN.search(output)
    dump = output[found.start() :] if found else ""
    _, current, after = dump.partition(_CURRENT)
    frames = after.partition("\n\n")[0] if current else dump
    libraries = {Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")}
    libraries.add(Path(__file__).parents[1])
    for name, line in _FRAME.findall(frames):
        file = Path(name)
        if file.is_file() and not any(map(file.is_relative_to, libraries)):
            return f"at {shown_path(file)}:{line}"
    return ""
