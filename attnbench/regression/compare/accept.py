"""Acceptance of changes into a baseline, with the reason in its file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from attnbench.errors import RequestError, suggestion
from attnbench.records.format import Header, Record
from attnbench.records.latency_result import timing_of
from attnbench.records.store import Run, case_of, lock_folder, read_lines, read_run, replace_run
from attnbench.regression.compare.compare_runs import compare
from attnbench.utils.text import shown_path

_DIFFER = ("regressions", "improvements", "incomparable", "added", "missing")


def accept(
    base: Path,
    new: Path,
    cases: Sequence[str] = (),
    reason: str = "",
    gates: Mapping[str, str | float] | None = None,
) -> tuple[str, ...]:
    """Write records of a run into a baseline, in place of those of the same cases.

    A case that the new run no longer has is removed from the baseline; one whose record is damaged
    there stays. The file is replaced
    atomically: if the process is killed at any instant, the file is the old one or the new one.

    Args:
        base: the baseline's record file.
        new: the record file that has the new values.
        cases: canonical names or globs; if empty, all cases that the comparison finds to differ
            (or to be incomparable). Inconclusive and unchanged cases stay, so that a baseline does
            not drift by differences within the noise.
        reason: why the change is intended.
        gates: as for :func:`~attnbench.regression.compare.compare_runs.compare`.

    Returns:
        The names of the accepted cases.

    Raises:
        RequestError: the reason is blank, or one of the cases is in neither run.
        RecordError: a file cannot be read, or the baseline cannot be written; it is left as it
            was.
    """
    if not reason.strip():
        raise RequestError("--reason is empty. Give the reason for the change")
    base = base.resolve()
    if base == new.resolve():
        raise RequestError(f"BASE and NEW are the same file: got {shown_path(base)}")
    with lock_folder(base):
        before, after = read_run(base), read_run(new)
        chosen = _chosen(before, after, cases, gates)
        if chosen:
            noted = {"reason": reason.strip(), "date": datetime.now(UTC).isoformat("T", "seconds")}
            replace_run(base, _lines(before, after, chosen, noted))
    return tuple(chosen)


def _chosen(
    before: Run, after: Run, cases: Sequence[str], gates: Mapping[str, str | float] | None
) -> list[str]:
    both = dict.fromkeys([*before.records, *after.records])
    names = [name for name in both if name not in after.left_out]
    if not cases:
        changes = compare(before, after, gates).all()
        cases = [change.case for verdict, change in changes if verdict in _DIFFER]
        cases = [case for case in cases if case in names]
    wanted: set[str] = set()
    for pattern in cases:
        found = {name for name in names if name == pattern or fnmatchcase(name, pattern)}
        if not found and pattern in after.left_out:
            raise RequestError(f"CASE cannot be accepted: {after.left_out[pattern]}")
        if not found:
            runs = f"{shown_path(before.path)} nor {shown_path(after.path)}"
            hint = suggestion(pattern, names)
            raise RequestError(f"CASE is neither in {runs}: got {pattern!r}.{hint}")
        wanted |= found
    return [name for name in names if name in wanted]


def _lines(
    before: Run, after: Run, chosen: Sequence[str], noted: Mapping[str, str]
) -> Iterator[bytes]:
    """Yield the lines of the new file. The last header's layout is the run's."""
    fresh = [name for name in chosen if name in after.records]
    gone = {
        name: {**noted, "from": _previous(before, name)} for name in chosen if name not in fresh
    }
    taken = list(_taken(before, after, fresh, noted))
    kept = list(_kept(before.path, set(chosen)))
    known = before.records.keys() | before.left_out.keys()
    if all(name in known and name in after.records for name in chosen):
        yield from (*taken, *kept)  # the same cases as before: the layout stays
        return
    yield from (*kept, *taken)
    yield _line(after.header.model_copy(update={"removed": gone}))


def _taken(
    before: Run, after: Run, names: Sequence[str], noted: Mapping[str, str]
) -> Iterator[bytes]:
    """Yield the new run's records under their own headers."""
    for header in after.headers:
        own = [name for name in names if after.header_of[name] is header]
        if own:
            yield _line(header)
        for name in own:
            accepted = {**noted, "from": _previous(before, name)}
            yield _line(after.records[name].model_copy(update={"accepted": accepted}))


def _kept(path: Path, chosen: set[str]) -> Iterator[bytes]:
    """Yield the baseline's other lines unchanged, without headers that have no records left."""
    blocks: list[list[bytes]] = []
    for _, line, content in read_lines(path):
        if "format" in content:
            blocks.append([line])
        elif case_of(content) not in chosen:
            blocks[-1].append(line)
    for number, block in enumerate(blocks):
        is_last = number == len(blocks) - 1
        if len(block) > 1 or is_last or json.loads(block[0]).get("removed"):
            yield from block


def _previous(run: Run, case: str) -> dict[str, Any] | None:
    """Return the baseline's result of a case; None where it has none."""
    record = run.records.get(case)
    if record is None:
        return None
    found = record.model_dump(mode="json", include={"status", "reason", "hash", "values"})
    found["commit"] = run.header_of[case].commit
    if record.counters:
        found["counters"] = {name: report.get("raw") for name, report in record.counters.items()}
    timing = timing_of(record.samples, 1)
    if timing is not None and not timing.is_plain:
        arm = timing.arm
        found["overhead"] = {"ratio": arm.ratio, "low": arm.low, "high": arm.high}
    return found


def _line(entry: Header | Record) -> bytes:
    return entry.model_dump_json().encode() + b"\n"
