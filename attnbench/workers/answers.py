"""Answers of a worker process, separated from all else that comes through its descriptor."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

Answer = dict[str, Any]
_CHUNK = 2**16
_LONGEST = 2**27
"""Number of bytes above which a line is cut, so that it cannot be read as an answer."""
_CUT = 2**10
_TEXTS = ("progress", "error")
_KEYS = {*_TEXTS, "ok", "ready"}


def read_answers(stream: IO[bytes], token: str, put: Callable[[bytes | None], object]) -> None:
    """Pass on the lines that begin with the token, and None when the stream has ended; close it."""
    start, line = token.encode(), bytearray()
    with stream, suppress(OSError, ValueError):
        while chunk := os.read(stream.fileno(), _CHUNK):
            *ended, rest = chunk.split(b"\n")
            for part in ended:
                line += part
                if line.startswith(start):
                    put(bytes(line))
                line.clear()
            line += rest
            if len(line) > _LONGEST:
                line[_CUT:] = b"\0"  # no JSON text has this
    put(None)


def parse_answer(line: bytes, label: str) -> Answer | None:
    """Return the answer in a line; None if it is to another task.

    Raises:
        ValueError: the line has the label of the task, but is no answer.
    """
    found, _, text = line.partition(b" ")
    if found != label.encode():
        return None
    try:
        answer = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(answer, dict) or len(_KEYS & answer.keys()) != 1:
        raise ValueError("it is no result, error or progress report")
    if not all(isinstance(answer.get(key, ""), str) for key in _TEXTS):
        raise ValueError("its text is no text")
    notes = answer.get("notes", [])
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise ValueError("its notes are no texts")
    return answer
