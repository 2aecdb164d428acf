"""Reading a pickle of dictionaries, lists, texts, numbers and uint8 arrays, and nothing else.

Names in a pickle are looked up here alone: nothing of numpy, nor of any other package, is called.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

from attnbench.errors import RequestError
from attnbench.utils.text import describe


class Bytes:
    """An array of uint8, as its shape and its bytes in order of rows."""

    shape: tuple[int, ...] = ()
    content: bytes = b""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_columns, content = state
        # Python 2 wrote text, of which each character is one byte
        content = content.encode("latin1") if isinstance(content, str) else content
        if kind.name not in {"u1", "uint8"} or by_columns or len(content) != prod(shape):
            raise pickle.UnpicklingError("an array that is not of uint8, in order of rows")
        self.shape, self.content = tuple(shape), bytes(content)


class _Kind:
    """An array's type."""

    def __init__(self, name: str, *_: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        """Drop the rest: byte order means nothing to single bytes."""


def _array(*_: object) -> Bytes:
    return Bytes()


def _content(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in encoding {encoding!r}")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy._core.multiarray", "_reconstruct"): _array,
    ("numpy", "ndarray"): Bytes,
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): _content,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for one of numpy's; nothing else has one."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed") from None


def read_plain_pickle(path: Path) -> dict[str, Any]:
    """Return the dictionary in a pickle; arrays are :class:`Bytes`.

    Raises:
        RequestError: it is damaged, or holds anything else.
    """
    try:
        with path.open("rb") as file:
            found = _Reader(file, encoding="latin1").load()
    except MemoryError:
        raise
    except Exception as error:  # unpickling damaged bytes raises almost anything
        raise RequestError(f"{path} is no plain pickle: {describe(error)}") from error
    if not isinstance(found, dict):
        raise RequestError(f"{path} holds a {type(found).__name__}, not a dictionary")
    return found
