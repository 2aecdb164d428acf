"""Record files: append-only JSON Lines. A run killed at any instant loses at most its last line.

At its end a run moves the bulk of its lines into an archive beside them, see
:mod:`attnbench.records.archive`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Self, get_args

from filelock import FileLock, Timeout
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from attnbench.errors import RecordError
from attnbench.records.archive import NAME, Archive, is_reference, name_of, pack, to_json
from attnbench.records.field_forms import first_fault, is_sampled
from attnbench.records.format import FORMAT, Header, Kind, Record, upgrade_header
from attnbench.registry.plugins import catalog
from attnbench.utils.files import atomic_write, replace_file
from attnbench.utils.text import shown_path

FILE = "records.jsonl"
_LONGEST_NAMES = 200
"""Number of bytes of a file's first line that may name archives."""


@dataclass
class Run:
    """The content of a record file."""

    path: Path
    headers: list[Header] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)
    """Records by case name; of several records of a case the last one."""
    header_of: dict[str, Header] = field(default_factory=dict)
    """Header above each case's record."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Reasons why records are left out as damaged, each with file and line, by case or line."""
    warning: str = ""
    """Reason why the run, just written, has no archive; empty if it has one or needs none."""

    @property
    def header(self) -> Header:
        """The last header, which defines suite and layout of the run."""
        return self.headers[-1]

    def only(self, kinds: Collection[str]) -> Run:
        """Return a copy of the run with only the records of these kinds."""
        records = {name: record for name, record in self.records.items() if record.kind in kinds}
        headers = {name: self.header_of[name] for name in records}
        others = tuple(f"{kind}/" for kind in get_args(Kind) if kind not in kinds)
        left_out = {at: why for at, why in self.left_out.items() if not at.startswith(others)}
        return replace(self, records=records, header_of=headers, left_out=left_out)

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
    tried += [Path(out) / str(place) / FILE] if out is not None else []
    for path in tried:
        if path.is_file():
            return path
    hint = f". Measure it: attnbench run {place}" if str(place) in catalog().suites else ""
    looked = ", ".join(map(shown_path, tried))
    raise RecordError(f"no run at {str(place)!r}; looked for {looked}{hint}")


def read_run(path: Path) -> Run:
    """Return the content of a record file; an incomplete last line, left by a kill, is ignored.

    A damaged record is left out, and an earlier one of its case as well, which it has replaced.

    Raises:
        RecordError: a header or a line that is no JSON object is damaged, or the archive is damaged
            or missing; the error gives the line's number or the archive, and the file is unchanged.
    """
    run = Run(path)
    header: Header | None = None
    lines, archive = _read(path)
    for number, _, content in _objects(path, lines):
        if "archive" in content:
            continue
        if "format" in content:
            header = _header(content, archive, path, number)
            run.headers.append(header)
        elif "suite" in content:
            raise RecordError(f"{shown_path(path)}:{number}: a header lacks its `format`")
        elif header is None:
            raise RecordError(f"{shown_path(path)}:{number}: a record stands above any header")
        elif archive is None and any(map(is_reference, content.values())):
            raise _damaged(path, number, "the first line names no archive")
        else:
            _add(run, header, content, archive, number)
    if not run.headers:
        raise RecordError(f"{shown_path(path)} is not a run: it has no complete header")
    return run


def _add(
    run: Run, header: Header, content: Mapping[str, Any], archive: Archive | None, number: int
) -> None:
    """Add the record in a line to a run, or the reason why it is left out."""
    case = case_of(content)
    run.left_out.pop(case, None)
    try:
        record = Record.model_validate(_restored(content, archive, lazy=True))
        problem = record.problem
    except (ValidationError, LookupError) as error:
        problem = first_fault(error) if isinstance(error, ValidationError) else str(error.args[0])
    else:
        run.records[case], run.header_of[case] = record, header
    if problem:
        place = f"{shown_path(run.path)}:{number}"
        run.left_out[case or place] = f"{place}: damaged record is left out: {problem}"
        run.records.pop(case, None)
        run.header_of.pop(case, None)


def case_of(content: Mapping[str, Any]) -> str:
    """Return the case that a line is of; empty for a header, and where the line does not say."""
    case = content.get("case")
    return case if isinstance(case, str) else ""


def replace_run(path: Path, lines: Iterable[bytes]) -> Run:
    """Replace a record file by other lines, with their bulk in a new archive; return the run.

    The archive is on disk before the lines that refer to it, and the old one is removed last: at
    any instant the run is the old one or the new one.

    Raises:
        RecordError: it cannot be written, or is no record file; the old run is unchanged.
    """
    texts = list(lines)
    packed = _pack([json.loads(text) for text in texts])
    return _replace(path.resolve(), *(packed or (texts, None)))


def _pack(lines: Sequence[Mapping[str, Any]]) -> tuple[list[bytes], bytes] | None:
    """Return lines and archive as `pack` does; samples are checked before they are archived."""
    are_sound = [is_sampled(line.get("samples", [])) for line in lines]
    packed = pack([line for line, is_sound in zip(lines, are_sound, strict=True) if is_sound])
    if packed is None:
        return None
    texts = iter(packed[0])
    return [
        next(texts) if is_sound else to_json(line).encode() + b"\n"
        for line, is_sound in zip(lines, are_sound, strict=True)
    ], packed[1]


def _replace(path: Path, lines: Sequence[bytes], archive: bytes | None) -> Run:
    names, first = _archive_names(path), []
    try:
        if archive is not None:
            entry = {"format": FORMAT, "archive": name_of(archive), "supersedes": names[:1]}
            first = [to_json(entry).encode() + b"\n"]
            names.append(name_of(archive))
            replace_file(path.parent / name_of(archive), archive, durable=True)
        with atomic_write(path, durable=True) as temporary:
            temporary.write_bytes(b"".join([*first, *lines]))
            run = replace(read_run(temporary), path=path)
    except OSError as error:
        raise _unwritten(path, error) from error
    finally:
        _remove_unused(path.parent, names)
    return run


def _archive_names(path: Path) -> list[str]:
    """Return the archive that the first line names, and the one before it."""
    with suppress(OSError), path.open("rb") as file:
        return NAME.findall(file.readline(_LONGEST_NAMES).decode(errors="replace"))
    return []


def _remove_unused(folder: Path, names: Iterable[str]) -> None:
    """Remove archives that no file refers to, and temporary files, from a locked folder.

    A record file may have any name, a copy of it as well.
    """
    with suppress(OSError):
        for file in folder.glob(".records*.tmp"):
            file.unlink(missing_ok=True)
        others = [file for file in folder.iterdir() if file.is_file() and file.suffix != ".npz"]
        used = {name for file in others for name in _archive_names(file)[:1]}
        for name in {*names} - used:
            (folder / name).unlink(missing_ok=True)


@contextmanager
def lock_folder(path: Path, way_out: str = "") -> Iterator[None]:
    """Lock the file's folder against writes of other runs while entered.

    Raises:
        RecordError: a run is writing into it, or the folder cannot be written.
    """
    try:
        lock = FileLock(str(path.parent / ".lock")).acquire(timeout=0)
    except Timeout:
        place = shown_path(path.parent)
        raise RecordError(f"a run is writing to {place}. Wait for its end{way_out}") from None
    except OSError as error:
        raise _unwritten(path, error) from error
    with lock:
        yield


def _close(file: IO[bytes]) -> None:
    with suppress(OSError):  # append reported a full disk; closing writes again
        file.close()


def _text(line: Header | Record) -> bytes:
    try:
        return line.model_dump_json().encode()
    except PydanticSerializationError:  # a file name that is not UTF-8, as JSON represents it
        return json.dumps(line.model_dump()).encode()


def _unwritten(path: Path, error: Exception) -> RecordError:
    return RecordError(f"{shown_path(path)} cannot be written and is left as it was: {error}")


class RunWriter:
    """A writer that appends to a record file, each line on disk before the next case starts.

    If the file is removed while the writer is open, it is written anew with all that it had; if it
    is replaced, the lines of this writer are appended to the new one.

    Raises:
        RecordError: another run is writing there, or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._stack = ExitStack()
        self._file: IO[bytes] | None = None
        self._archive: bytes | None = None
        self._start = 0
        """Size of the file before the lines of this writer."""

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._file = None

    def _open(self) -> IO[bytes]:
        with ExitStack() as stack:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(lock_folder(self.path, ", or pass another --out"))
                file = self.path.open("ab+")
            except OSError as error:
                raise _unwritten(self.path, error) from error
            stack.callback(_close, file)
            self._mend_tail(file)
            self._stack = stack.pop_all()
        for name in _archive_names(self.path)[:1]:
            with suppress(OSError):  # a lost archive is reported by the reader
                self._archive = (self.path.resolve().parent / name).read_bytes()
        self._file, self._start = file, file.seek(0, os.SEEK_END)
        return file

    def append(self, line: Header | Record) -> None:
        """Write one line and wait until it is on disk.

        Raises:
            RecordError: the disk is full, or the file is gone and cannot be written anew.
        """
        if self._file is None:
            raise RecordError("the record file is not open")
        try:
            file = self._present(self._file)
            file.write(_text(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            raise RecordError(f"{shown_path(self.path)} cannot be written: {error}") from error

    def _present(self, file: IO[bytes]) -> IO[bytes]:
        """Return the open file, written anew if its path no longer leads to it."""
        with suppress(OSError):
            if os.path.samestat(self.path.stat(), os.fstat(file.fileno())):
                return file
        is_removed, archive = not self.path.exists(), self._archive
        file.seek(0 if is_removed else self._start)
        lines = file.read()  # a file without a name is kept as long as it is open
        self._stack.close()
        file = self._open()
        if is_removed and archive is not None:
            replace_file(self.path.resolve().parent / name_of(archive), archive, durable=True)
        self._archive, self._start = archive, self._start if is_removed else file.tell()
        file.write(lines)
        return file

    def finish(self) -> Run:
        """Close the file, move the bulk of its lines into an archive and return the run.

        If the archive cannot be written, the lines stay as they are, and the run has a warning.

        Raises:
            RecordError: a line is damaged.
        """
        if self._file is not None:
            self._present(self._file).close()
        self._file = None
        lines, archive = _read(self.path)
        contents = [content for _, _, content in _objects(self.path, lines)]
        packed = _pack([line for line in contents if not any(map(is_reference, line.values()))])
        if packed is None:  # nothing has been added that is worth an archive
            _remove_unused(self.path.resolve().parent, _archive_names(self.path))
            return read_run(self.path)
        try:
            if archive is None:
                return _replace(self.path.resolve(), *packed)
            return replace_run(self.path, (text for _, text, _ in read_lines(self.path)))
        except RecordError as error:
            return replace(read_run(self.path), warning=str(error))

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


def read_lines(path: Path) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """Yield the number, text and content of each line of a record file, with its archived fields.

    Raises:
        RecordError: a line is no JSON object, or the archive does not have what it refers to.
    """
    lines, archive = _read(path)
    for number, text, content in _objects(path, lines):
        if "archive" in content:
            continue
        if not any(map(is_reference, content.values())):
            yield number, text, content
            continue
        try:
            content = _restored(content, archive)
        except LookupError as error:
            raise _damaged(path, number, str(error.args[0])) from error
        yield number, to_json(content).encode() + b"\n", content


def _restored(
    content: Mapping[str, Any], archive: Archive | None, *, lazy: bool = False
) -> dict[str, Any]:
    """Return a line with its archived fields; with ``lazy``, samples are read on access.

    Raises:
        LookupError: the archive does not have what the line refers to.
    """
    if not any(map(is_reference, content.values())):
        return dict(content)
    if archive is None:
        raise LookupError("the first line names no archive")
    try:
        return archive.restore(content, lazy=lazy)
    except (LookupError, TypeError, ValueError) as error:
        raise LookupError("it refers to what its archive does not have") from error


def _objects(path: Path, lines: Sequence[bytes]) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """Yield the number, text and content of each line as it is in the file."""
    for number, line in enumerate(lines, start=1):
        content = _parsed(line)
        if content is not None:
            _refuse_newer(content, path, number)
            yield number, line + b"\n", content
        elif line.strip() and number < len(lines):  # without a newline it is incomplete
            raise _damaged(path, number, "not a JSON object")


def _damaged(path: Path, number: int, problem: str) -> RecordError:
    return RecordError(
        f"{shown_path(path)}:{number} is damaged: {problem}. Take that line out, and only its case "
        "is measured again"
    )


def _read(path: Path) -> tuple[list[bytes], Archive | None]:
    """Return the lines of a record file and the archive that the first line names, if any."""
    known: bytes | None = None
    while True:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise RecordError(f"{shown_path(path)} cannot be read: {error}") from error
        lines = content.split(b"\n")
        first = _parsed(lines[0]) or {}
        if "archive" not in first:
            return lines, None
        _refuse_newer(first, path, 1)
        archive = path.resolve().parent / str(first["archive"])
        try:
            return lines, _open_archive(archive, path)
        except FileNotFoundError:
            if content == known:  # else a writer may have replaced both files in between
                raise RecordError(
                    f"{shown_path(path)} lacks its archive: there is no {shown_path(archive)}. "
                    f"Copy it, too. If it is lost, move {path.name} away and measure again"
                ) from None
        known = content


def _open_archive(archive: Path, path: Path) -> Archive:
    if not NAME.fullmatch(archive.name):
        raise RecordError(f"{shown_path(path)}:1 is damaged: no archive has the name {archive}")
    try:
        content = archive.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RecordError(f"{shown_path(archive)} cannot be read: {error}") from error
    if name_of(content) != archive.name:
        raise RecordError(
            f"{shown_path(archive)} is damaged: its content is not what {shown_path(path)} refers "
            f"to. Copy it again. If it is lost, move {path.name} away and measure again"
        )
    return Archive(content)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):  # RecursionError: nested 1,000 deep
        return None
    return content if isinstance(content, dict) else None


def _refuse_newer(content: Mapping[str, Any], path: Path, number: int) -> None:
    version = content.get("format", FORMAT)
    if not isinstance(version, int):
        raise RecordError(f"{shown_path(path)}:{number}: format is no number: got {version!r}")
    if version > FORMAT:
        raise RecordError(
            f"{shown_path(path)}:{number}: format {version} is newer than this attnbench reads "
            f"({FORMAT}). Upgrade attnbench"
        )


def _header(content: Mapping[str, Any], archive: Archive | None, path: Path, number: int) -> Header:
    try:
        return Header.model_validate(upgrade_header(_restored(content, archive, lazy=True)))
    except LookupError as error:
        raise _damaged(path, number, str(error.args[0])) from error
    except ValidationError as error:
        place = f"{shown_path(path)}:{number}: damaged header"
        raise RecordError(f"{place}: {first_fault(error)}") from error
