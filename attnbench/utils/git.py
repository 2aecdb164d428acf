"""What a git repository knows of commits: their order, date and subject. Absent git is no error."""

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
    """A commit as a repository knows it."""

    hash: str
    short: str
    date: str
    """Of the committer, ISO 8601."""
    subject: str


@dataclass(frozen=True)
class GitRepository:
    """A git working tree."""

    root: Path

    def commits(self, names: Iterable[str]) -> dict[str, Commit]:
        """Return the commits that (short) hashes stand for; unknown ones are left out."""
        asked = sorted({name for name in names if is_hash(name)})
        lines = self._git("cat-file", "--batch-check", given=[f"{one}^{{commit}}" for one in asked])
        found = {
            name: line.split()[0]
            for name, line in zip(asked, lines, strict=False)
            if line.split()[1:2] == ["commit"]
        }
        known = self._described(sorted(set(found.values())))
        return {name: known[full] for name, full in found.items() if full in known}

    def ordered(self, hashes: Iterable[str]) -> list[str]:
        """Return full hashes with every commit behind its parents, lines of work together."""
        wanted = set(hashes)
        lines = self._git("rev-list", "--topo-order", "--reverse", "--stdin", given=sorted(wanted))
        return [line for line in lines if line in wanted]

    def between(self, before: str, after: str) -> int | None:
        """Return how many commits ``after`` has that ``before`` has not, itself among them."""
        lines = self._git("rev-list", "--count", f"{before}..{after}")
        return int(lines[0]) if lines else None

    def _described(self, hashes: Sequence[str]) -> dict[str, Commit]:
        if not hashes:
            return {}
        form = "--format=%H%x00%h%x00%cI%x00%s"
        lines = self._git("log", "--no-walk=unsorted", form, "--stdin", given=hashes)
        parts = [line.split("\0", 3) for line in lines]
        return {
            one[0]: Commit(one[0], one[1], one[2], _printable(one[3]))
            for one in parts
            if len(one) == 4
        }

    def _git(self, *arguments: str, given: Sequence[str] = ()) -> list[str]:
        text = "".join(f"{line}\n" for line in given)
        return _run(self.root, arguments, text).split("\n")[:-1]


def repository(place: Path) -> GitRepository | None:
    """Return the repository that a folder lies in; None outside of one, or without git."""
    root = _run(place, ("rev-parse", "--show-toplevel"), "").removesuffix("\n")
    return GitRepository(Path(root)) if root else None


def is_hash(text: str) -> bool:
    """Whether a text may be a commit's hash, short or whole."""
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
    """A subject is shown on terminals: what would steer them is taken out."""
    return "".join(one for one in text if one.isprintable())
