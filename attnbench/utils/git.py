"""Commits of a git repository: their order, date and subject. Absent git is no error."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_HASH = re.compile(r"[0-9a-f]{7,64}")
_SECONDS = 60


@dataclass(frozen=True)
class Commit:
    """A commit of a repository."""

    hash: str
    short: str
    date: str
    """Date of the committer, ISO 8601."""
    subject: str


@dataclass(frozen=True)
class GitRepository:
    """A git working tree."""

    root: Path

    def commits(self, names: Iterable[str]) -> dict[str, Commit]:
        """Return the commits of (short) hashes; unknown ones are omitted."""
        requested = sorted({name for name in names if is_hash(name)})
        lines = self._git(
            "cat-file", "--batch-check", given=[f"{name}^{{commit}}" for name in requested]
        )
        found = {
            name: line.split()[0]
            for name, line in zip(requested, lines, strict=False)
            if line.split()[1:2] == ["commit"]
        }
        commits = self._described(sorted(set(found.values())))
        return {name: commits[full] for name, full in found.items() if full in commits}

    def ordered(self, hashes: Iterable[str]) -> list[str]:
        """Return full hashes with every commit after its parents, branches kept together."""
        wanted = set(hashes)
        lines = self._git("rev-list", "--topo-order", "--reverse", "--stdin", given=sorted(wanted))
        return [line for line in lines if line in wanted]

    def between(self, before: str, after: str) -> int | None:
        """Return the number of commits of ``after``, itself included, that ``before`` lacks."""
        lines = self._git("rev-list", "--count", f"{before}..{after}")
        return int(lines[0]) if lines else None

    def _described(self, hashes: Sequence[str]) -> dict[str, Commit]:
        if not hashes:
            return {}
        form = "--format=%H%x00%h%x00%cI%x00%s"
        lines = self._git("log", "--no-walk=unsorted", form, "--stdin", given=hashes)
        parts = [line.split("\0", 3) for line in lines]
        return {
            fields[0]: Commit(fields[0], fields[1], fields[2], _printable(fields[3]))
            for fields in parts
            if len(fields) == 4
        }

    def _git(self, *arguments: str, given: Sequence[str] = ()) -> list[str]:
        text = "".join(f"{line}\n" for line in given)
        return _run(self.root, arguments, text).split("\n")[:-1]


def repository(place: Path) -> GitRepository | None:
    """Return the repository that a folder lies in; None outside of one, or without git."""
    root = _run(place, ("rev-parse", "--show-toplevel"), "").removesuffix("\n")
    return GitRepository(Path(root)) if root else None


def is_hash(text: str) -> bool:
    """Return whether a text may be a commit's hash, short or full."""
    return bool(_HASH.fullmatch(text))


def _run(place: Path, arguments: Sequence[str], given: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=place,
            input=given.encode(),
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace")


def _printable(text: str) -> str:
    """Return a subject without control characters, which would affect a terminal."""
    return "".join(character for character in text if character.isprintable())
