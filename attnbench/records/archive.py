"""Archive of a run: the bulk of its lines in one compressed ``.npz`` file beside them.

``docs/records.md`` describes both files.
"""

from __future__ import annotations

import hashlib
import io
import json
import operator
import re
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnbench.errors import RecordError

NAME = re.compile(r"records-[0-9a-f]{16}\.npz")
"""Name of an archive, with a hash of its content."""
REFERENCE = "archived"
"""Only key of an object that stands for an archived value: its line in the archive."""
ROW = "row"
"""Only key of an object that stands for an archived list of numbers: its row in the archive."""

_INLINE = "values"
"""Field that is never archived, so that counts can be searched in the text."""
_BULK = 160
"""Number of JSON characters above which a field is archived; samples always are."""
_WORTH = 2**16
"""Number of JSON characters from which a run without samples gets an archive."""


class ArchivedSamples(Sequence[dict[str, Any]]):
    """The samples of a record, read from the archive at the first access."""

    def __init__(self, archive: Archive, line: int) -> None:
        self._archive = archive
        self._line = line

    @cached_property
    def _processes(self) -> list[dict[str, Any]]:
        try:
            return self._archive.samples(self._line)
        except (LookupError, TypeError, ValueError) as error:
            raise RecordError(f"the archive has no samples {self._line}") from error

    def __getitem__(self, index: Any) -> Any:
        return self._processes[index]

    def __len__(self) -> int:
        return len(self._processes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._processes == list(other)

    __hash__ = None  # type: ignore[assignment]


class Archive:
    """The content of an archive; each array is decompressed at the first access."""

    def __init__(self, content: bytes) -> None:
        arrays = np.load(io.BytesIO(content), allow_pickle=False)
        self._array = cache(arrays.__getitem__)
        self._lines = cache(lambda name: arrays[name].tobytes().split(b"\n"))
        self._value = cache(lambda line: json.loads(self._lines("texts")[line]))
        self._numbers = cache(self._read_row)

    def restore(self, line: Mapping[str, Any], *, lazy: bool = False) -> dict[str, Any]:
        """Return a line with its archived fields; with ``lazy``, samples are read on access.

        Raises:
            LookupError: the archive does not have a field.
        """
        return {
            key: self._restored(key, value[REFERENCE], lazy) if is_reference(value) else value
            for key, value in line.items()
        }

    def _restored(self, key: str, line: int, lazy: bool) -> Any:
        if key == "samples" and lazy and self._lines("samples")[line]:
            return ArchivedSamples(self, line)
        if key == "samples":
            return self.samples(line)
        return self._value(line)

    def samples(self, line: int) -> list[dict[str, Any]]:
        """Return the samples in a line of the member of that name."""
        text = self._lines("samples")[line]
        found: list[dict[str, Any]] = json.loads(text, object_hook=self._row)
        return found

    def _row(self, value: dict[str, Any]) -> Any:
        if value.keys() != {ROW}:
            return value
        return self._numbers(value[ROW])  # arms of a session share those of their plain network

    def _read_row(self, row: int) -> list[float]:
        starts = self._array("starts")
        digits = self._array("digits")[starts[row] : starts[row + 1]]
        numbers: list[float] = (digits / self._array("scale")[row]).tolist()
        return numbers


def is_reference(value: object) -> bool:
    """Return whether a field's value is in the archive."""
    return isinstance(value, dict) and value.keys() == {REFERENCE}


def name_of(content: bytes) -> str:
    """Return the name of an archive."""
    return f"records-{hashlib.sha256(content).hexdigest()[:16]}.npz"


def to_json(value: object) -> str:
    """Return a value as JSON without spaces."""
    return json.dumps(value, separators=(",", ":"))


def pack(lines: Sequence[Mapping[str, Any]]) -> tuple[list[bytes], bytes] | None:
    """Return the text of lines without their bulk, and the archive with it.

    Return None if there is little to archive, or if the result would not restore the lines.
    """
    packer = _Packer()
    packed = [{key: packer.pack(key, value) for key, value in line.items()} for line in lines]
    if not packer.samples and sum(map(len, packer.texts)) < _WORTH:
        return None
    content = packer.content()
    archive = Archive(content)
    try:
        is_exact = all(map(operator.eq, map(archive.restore, packed), lines))
    except (LookupError, TypeError, ValueError):  # a field looks like a reference
        return None
    return ([to_json(line).encode() + b"\n" for line in packed], content) if is_exact else None


class _Packer:
    def __init__(self) -> None:
        self.texts: dict[str, int] = {}
        self.samples: dict[str, int] = {}
        self._rows: dict[bytes, int] = {}
        self._decimals: list[tuple[NDArray[np.int64], float]] = []

    def pack(self, key: str, value: Any) -> Any:
        """Return the value of a field, or a reference to it."""
        if not isinstance(value, dict | list) or not value or key == _INLINE or is_reference(value):
            return value
        texts = self.texts
        if key == "samples":
            texts, value = self.samples, self._without_rows(value)
        text = to_json(value)
        if texts is self.texts and len(text) <= _BULK:
            return value
        return {REFERENCE: texts.setdefault(text, len(texts))}

    def _without_rows(self, value: Any) -> Any:
        """Return a value with its lists of decimals replaced by references to rows."""
        if isinstance(value, dict):
            return {key: self._without_rows(part) for key, part in value.items()}
        if not isinstance(value, list):
            return value
        if set(map(type, value)) != {float}:
            return [self._without_rows(part) for part in value]
        row = self._row_of(np.array(value))
        return value if row is None else {ROW: row}

    def _row_of(self, values: NDArray[np.float64]) -> int | None:
        """Return the row of some values; None unless all are decimals of 15 digits or less."""
        key = values.tobytes()
        if key not in self._rows:
            found = _decimals(values)
            if found is None:
                return None
            self._decimals.append(found)
            self._rows[key] = len(self._rows)
        return self._rows[key]

    def content(self) -> bytes:
        """Return the archive."""
        rows = [digits for digits, _ in self._decimals]
        digits = np.concatenate([np.zeros(0, np.int64), *rows])
        fits = not len(digits) or np.abs(digits).max() < 2**31
        file = io.BytesIO()
        np.savez_compressed(
            file,
            digits=digits.astype(np.int32 if fits else np.int64),
            starts=np.cumsum([0, *map(len, rows)], dtype=np.int64),
            scale=np.array([scale for _, scale in self._decimals]),
            samples=np.frombuffer("\n".join(self.samples).encode(), np.uint8),
            texts=np.frombuffer("\n".join(self.texts).encode(), np.uint8),
        )
        return file.getvalue()


def _decimals(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], float] | None:
    """Return integers and a power of ten such that their quotients are the values.

    Both operands of the division are exact, so that its result is the float nearest to the decimal,
    as it is in JSON text. None if there are no such integers.
    """
    for places in range(23):  # a float represents powers of ten up to 10**22 exactly
        scale = float(10**places)
        scaled = np.rint(values * scale)
        if not (np.abs(scaled) < 2**53).all():  # and integers below this limit
            return None
        digits = scaled.astype(np.int64)
        if (digits / scale).tobytes() == values.tobytes():
            return digits, scale
    return None
