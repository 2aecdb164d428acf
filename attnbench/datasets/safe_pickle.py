"""Reader of pickles of dictionaries, lists, strings, numbers and uint8 arrays only.

Names in a pickle are looked up in this module alone: no code of numpy or other packages is called.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

from attnbench.errors import RequestError
from attnbench.utils.text import describe


class ByteArray:
    """A uint8 array, as its shape and its bytes in row-major order."""

    shape: tuple[int, ...] = ()
    content: bytes = b""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_columns, content = state
        # Python 2 wrote text in which each character is one byte
        content = content.encode("latin1") if isinstance(content, str) else content
        if kind.name not in {"u1", "uint8"} or by_columns or len(content) != prod(shape):
            raise pickle.UnpicklingError("an array that is not of uint8, in order of rows")
        self.shape, self.content = tuple(shape), bytes(content)


class _Kind:
    """The data type of an array."""

    def __init__(self, name: str, *_: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        """Ignore the remaining state: single bytes have no byte order."""


def _array(*_: object) -> ByteArray:
    return ByteArray()


def _content(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in encoding {encoding!r}")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy._core.multiarray", "_reconstruct"): _array,
    ("numpy", "ndarray"): ByteArray,
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): _content,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return the replacement of an allowed name of numpy; raise for any other."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed") from None


def read_plain_pickle(path: Path) -> dict[str, Any]:
    """Return the dictionary in a pickle; arrays are :class:`ByteArray`.

    Raises:
        RequestError: the pickle is damaged, or holds any other object.
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
