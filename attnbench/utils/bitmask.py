"""Bit mask of the correctly classified images, as a short text for a record."""

from __future__ import annotations

import base64
import binascii
import zlib

import numpy as np
from numpy.typing import NDArray

from attnbench.errors import RecordError, RequestError


def pack(correct: NDArray[np.bool_]) -> str:
    """Return base64 of deflated bits, eight images to a byte, the first in the highest bit.

    Args:
        correct: (images,), in the order of the test set.

    Raises:
        RequestError: the array is not one-dimensional, or not of bool.
    """
    if correct.ndim != 1 or correct.dtype != np.bool_:
        raise RequestError(
            f"correctness must be (images,) of bool: got {correct.shape} of {correct.dtype}"
        )
    return base64.b64encode(zlib.compress(np.packbits(correct).tobytes(), 9)).decode("ascii")


def unpack(text: str, count: int) -> NDArray[np.bool_]:
    """Return the unpacked correctness, (count,).

    Args:
        text: from :func:`pack`.
        count: number of images.

    Raises:
        RecordError: the text is of another number of images, or damaged.
    """
    size = -(-count // 8)
    reader = zlib.decompressobj()
    try:
        # one byte more than expected reveals a longer text without inflating all of it
        data = reader.decompress(base64.b64decode(text, validate=True), size + 1)
    except (ValueError, binascii.Error, zlib.error) as error:
        raise RecordError(f"damaged correctness {text[:20]!r}: {error}") from error
    if len(data) != size:
        raise RecordError(f"correctness {text[:20]!r} is not of {count} images")
    return np.unpackbits(np.frombuffer(data, np.uint8), count=count).astype(np.bool_)
