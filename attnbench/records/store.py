"""Record files: append-only JSON Lines. A run killed at any instant loses at most its last line."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from filelock import FileLock, Timeout
from pydantic import ValidationError

from attnbench.errors import RecordError
from attnbench.records.format import FORMAT, Header, Record
from attnbench.records.header_formats import upgraded
from attnbench.utils.text import shown_path

FILE = "records.jsonl"


@dataclass
class Run:
    """The content of a record file."""

    path: Path
    headers: list[Header] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)
    """Records by case name; of several records of a case the last one."""
    header_of: dict[str, Header] = field(default_factory=dict)
    """Header above each case's record."""

    @property
    def header(self) -> Header:
        """The last header, which defines suite and layout of the run."""
        return self.headers[-1]

    def only(self, kinds: Collection[str]) -> Run:
        """Return a copy of the run with only the records of these kinds."""
        records = {name: record for name, record in self.records.items() if record.kind in kinds}
        return replace(
            self, records=records, header_of={name: self.header_of[name] for name in records}
        )

    def measured_with(self) -> dict[str, str]:
        """Return the versions with which the records were measured, several joined by "/"."""
        seen: dict[str, dict[str, None]] = {}
        for header in self.header_of.values() or self.headers:
            for name, version in header.versions.items():
                seen.setdefault(name, {})[version] = None
        return {name: " / ".join(versions) for name, versions in seen.items()}


def find_run(place: str | Path, out: str | Path | None = None) -> Path:
    """Return the record file for a path, its folder or a suite's name (in ``out``).

    Raises:
        RecordError: there is none; the error lists the searched paths.
    """
    tried = [Path(place), Path(place) / FILE]
    if out is not None:
        tried.append(Path(out) / str(place) / FILE)
    for path in tried:
        if path.is_file():
            return path
    looked = ", ".join(shown_path(path) for path in tried)
    raise RecordError(f"no run at {str(place)!r}; looked for {looked}")


def read_run(path: Path) -> Run:
    """Return the content of a record file; an incomplete last line, left by a kill, is ignored.

    Raises:
        RecordError: a line is damaged; the error gives its number, and the file is unchanged.
    """
    run = Run(path)
    header: Header | None = None
    for number, content in _lines(path):
        if "format" in content:
            header = _header(content, f"{shown_path(path)}:{number}")
            run.headers.append(header)
        elif header is None:
            raise RecordError(f"{shown_path(path)}:{number}: a record stands above any header")
        else:
            record = _record(content, f"{shown_path(path)}:{number}")
            run.records[record.case] = record
            run.header_of[record.case] = header
    if not run.headers:
        raise RecordError(f"{shown_path(path)} holds no complete header; it is not a run")
    return run


class RunWriter:
    """A writer that appends to a record file, each line on disk before the next case starts.

    Raises:
        RecordError: another run is writing there, or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._lock = FileLock(str(folder / ".lock"))
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            self._file = self.path.open("ab+")
        except Timeout:
            raise RecordError(
                f"another run is writing to {shown_path(self.path.parent)}; "
                "wait for it or give another --out"
            ) from None
        except OSError as error:
            raise RecordError(f"{shown_path(self.path)} cannot be written: {error}") from error
        self._mend_tail(self._file)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._file is not None:
                with suppress(OSError):  # append reported a full disk; closing writes again
                    self._file.close()
        finally:
            self._lock.release()

    def append(self, line: Header | Record) -> None:
        """Write one line and wait until it is on disk.

        Raises:
            RecordError: the disk is full or the file is gone.
        """
        if self._file is None:
            raise RecordError("the record file is not open")
        try:
            self._file.write(line.model_dump_json().encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise RecordError(f"{shown_path(self.path)} cannot be written: {error}") from error

    @staticmethod
    def _mend_tail(file: IO[bytes]) -> None:
        """Repair the end of the file: terminate a complete last line, remove an incomplete one."""
        file.seek(0)
        content = file.read()
        if not content or content.endswith(b"\n"):
            return
        start = content.rfind(b"\n") + 1
        if _parsed(content[start:]) is None:
            file.truncate(start)
        else:
            file.write(b"\n")


def _lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RecordError(f"{shown_path(path)} cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        content = _parsed(line)
        if content is not None:
            yield number, content
        elif number < len(lines):  # a last line without a newline is incomplete, not damaged
            raise RecordError(
                f"{shown_path(path)}:{number} is damaged: not a JSON object. Take that line out, "
                "and only its case is measured again"
            )


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _header(content: Mapping[str, Any], place: str) -> Header:
    if isinstance(content["format"], int) and content["format"] > FORMAT:
        raise RecordError(
            f"{place}: format {content['format']} is newer than this attnbench reads ({FORMAT}); "
            "upgrade attnbench"
        )
    try:
        return Header.model_validate(upgraded(content))
    except ValidationError as error:
        raise RecordError(f"{place}: damaged header: {_first(error)}") from error


def _record(content: Mapping[str, Any], place: str) -> Record:
    try:
        return Record.model_validate(content)
    except ValidationError as error:
        raise RecordError(f"{place}: damaged record: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}"
