"""Runs below a folder, in the order of their commits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from attnbench.errors import RecordError, RequestError, suggestion
from attnbench.records.store import FILE, Run, read_run
from attnbench.utils.git import Commit, GitRepository, is_hash, repository
from attnbench.utils.text import shown_path

_NAMED = 5
"""Maximum number of runs that a note names; the others are counted."""


@dataclass(frozen=True, eq=False)
class HistoryEntry:
    """A run of a history."""

    run: Run
    folder: str
    """Path relative to the history's folder."""
    name: str
    """Commit as recorded in the run, with ``+`` for a changed checkout; else the folder."""
    commit: Commit | None = None
    """Commit as the repository describes it; None where the repository lacks it."""

    @property
    def suite(self) -> str:
        """Name of the run's suite."""
        return self.run.header.suite_name

    @property
    def date(self) -> str | None:
        """Date of the measurement, ISO 8601; None for old runs, which recorded no date."""
        return self.run.header.date

    @property
    def label(self) -> str:
        """Name of the run in a table."""
        if self.commit is None:
            return self.name
        return self.commit.short + ("+" if self.name.endswith("+") else "")


@dataclass(frozen=True)
class History:
    """Runs in order, and notes on them."""

    entries: tuple[HistoryEntry, ...]
    order: Literal["git", "date", "name"]
    notes: tuple[str, ...]
    repository: GitRepository | None = None


def read_history(folder: Path) -> History:
    """Return the runs at and below a folder, oldest first.

    The order is git's, where the folder or the current one lies in a repository that has the
    commits; else that of the dates in the headers; else the natural order of the folders' names. A
    run's commit is the hash in its folder's name, or else the one in its header. A file that cannot
    be read is omitted and named in a note.

    Raises:
        RequestError: there is no such folder.
        RecordError: there is no run, or none that can be read.
    """
    found, notes = _read(folder)
    located = _repository(folder, found)
    if located is not None:
        history = _by_git(*located, found)
    elif all(entry.date for entry in found):
        in_order = sorted(found, key=lambda entry: entry.date or "")
        history = History(tuple(in_order), "date", _why_not_git(found, "date"))
    else:
        history = History(tuple(found), "name", _why_not_git(found, "folder name"))
    return replace(history, notes=(*notes, *history.notes))


def _read(folder: Path) -> tuple[list[HistoryEntry], list[str]]:
    """Return the runs in natural order of their folders, and a note for each damaged one."""
    if not folder.is_dir():
        beside = [path.name for path in folder.parent.glob("*") if path.is_dir()]
        hint = suggestion(folder.name, beside)
        raise RequestError(f"folder does not exist: got {shown_path(folder)}.{hint}")
    found: list[HistoryEntry] = []
    notes: list[str] = []
    for path in sorted(_files(folder), key=lambda file: _natural(str(file.parent))):
        try:
            run = read_run(path)
        except RecordError as error:
            notes.append(f"left out: {error}")
            continue
        notes += run.left_out.values()
        place = path.parent.relative_to(folder).as_posix()
        found.append(HistoryEntry(run, place, run.header.commit or place))
    if notes and not found:
        raise RecordError(f"all {len(notes)} runs are unreadable: {notes[0]}")
    if not found:
        raise RecordError(
            f"folder contains no {FILE}: got {shown_path(folder)}. Write one run for each commit "
            f"with attnbench run --out {shown_path(folder)}/COMMIT"
        )
    return found, notes


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        if FILE in files:
            yield Path(place) / FILE


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts ``run9`` before ``run10``."""
    parts = re.split(r"(\d+)", text)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]


def _repository(
    folder: Path, entries: Sequence[HistoryEntry]
) -> tuple[GitRepository, dict[str, Commit]] | None:
    """Return the repository with the commits of the most runs, and of more than half of them."""
    names = {name for entry in entries for name in _hashes(entry)}
    best: tuple[int, GitRepository, dict[str, Commit]] | None = None
    for place in (folder, Path.cwd()):
        own = repository(place)
        commits = own.commits(names) if own and names else {}
        count = sum(_commit_of(entry, commits) is not None for entry in entries)
        if own and 2 * count > len(entries) and (best is None or count > best[0]):
            best = count, own, commits
    return best[1:] if best else None


def _hashes(entry: HistoryEntry) -> Iterator[str]:
    """Yield an entry's possible commits: the folder's name first, which users chose on purpose."""
    yield from filter(is_hash, entry.folder.split("/"))
    if entry.run.header.commit:
        yield entry.run.header.commit.removesuffix("+")


def _commit_of(entry: HistoryEntry, known: Mapping[str, Commit]) -> Commit | None:
    return next((known[name] for name in _hashes(entry) if name in known), None)


def _by_git(
    own: GitRepository, known: Mapping[str, Commit], entries: Sequence[HistoryEntry]
) -> History:
    placed = [(entry, _commit_of(entry, known)) for entry in entries]
    inside = [replace(entry, commit=commit) for entry, commit in placed if commit is not None]
    outside = [entry for entry, commit in placed if commit is None]
    hashes = own.sort_commits(entry.commit.hash for entry in inside if entry.commit)
    position = {commit: at for at, commit in enumerate(hashes)}

    def key(entry: HistoryEntry) -> tuple[int, bool, str]:
        at = position.get(entry.commit.hash, -1) if entry.commit else -1
        return at, entry.name.endswith("+"), entry.date or ""

    notes = []
    if outside:
        named = ", ".join(entry.name for entry in outside[:_NAMED])
        rest = len(outside) - _NAMED
        notes.append(
            f"left out, as git does not know their commits: {named}"
            f"{f' and {rest} more' if rest > 0 else ''}. "
            "If the clone is shallow: git fetch --unshallow"
        )
    return History(tuple(sorted(inside, key=key)), "git", tuple(notes), own)


def _why_not_git(entries: Sequence[HistoryEntry], order: str) -> tuple[str, ...]:
    if len(entries) < 2:
        return ()
    unnamed = sum(not any(_hashes(entry)) for entry in entries)
    why = f"{unnamed} runs name no commit" if unnamed else "no repository here knows their commits"
    return (f"runs are in order of {order}, not of commits: {why}",)
