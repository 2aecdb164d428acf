"""The idx format of MNIST and its successors: a magic number, the sizes, the bytes.

Published at http://yann.lecun.com/exdb/mnist/: two zero bytes, the type (8 for uint8), the number
of dimensions, then each size as four bytes, most significant first.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from attnbench.errors import RequestError

if TYPE_CHECKING:
    from torch import Tensor

_UINT8 = 8


def read_idx(path: Path, dimensions: int) -> Tensor:
    """Return the uint8 tensor in an idx file, gzipped (``.gz``) or not.

    Args:
        path: the file.
        dimensions: the required number of dimensions of the tensor.

    Raises:
        RequestError: the file is damaged or of another kind.
    """
    import torch

    content = _read(path)
    head = 4 + 4 * dimensions
    if len(content) < head or content[:4] != bytes((0, 0, _UINT8, dimensions)):
        raise RequestError(
            f"{path} is no idx file of uint8 in {dimensions} dimensions; download it again"
        )
    shape = struct.unpack(f">{dimensions}I", content[4:head])
    if len(content) - head != prod(shape):
        raise RequestError(
            f"{path} is damaged: {len(content) - head:,} bytes where "
            f"{'x'.join(map(str, shape))} were announced; download it again"
        )
    return torch.frombuffer(bytearray(content[head:]), dtype=torch.uint8).view(*shape)


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise RequestError(f"{path} is damaged: {error}; download it again") from error
