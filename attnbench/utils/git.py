"""Git commands, and the commits of a repository: their order, date and subject."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from attnbench.errors import AttnbenchError

_HASH = re.compile(r"[0-9a-f]{7,64}")
_SECONDS = 60
_REPOSITORY = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)
"""Variables of ``git rev-parse --local-env-vars``: a hook has them, and they bind each git below to
the hook's repository and index. Settings stay (``git -c``, ``GIT_CONFIG_COUNT``), as git itself
keeps them for submodules: they may hold ``safe.directory``."""


class GitError(AttnbenchError):
    """Failure of a git command."""


def child_environment() -> dict[str, str]:
    """Return this process's variables without those that bind git to a hook's repository.

    Every child process gets these: with the index of a commit that is being made, a git of ours or
    of an installed package would write into that commit.
    """
    return {name: text for name, text in os.environ.items() if name not in _REPOSITORY}


def run_git(
    folder: Path, *arguments: str, given: Sequence[str] = (), timeout_s: float | None = None
) -> str:
    """Run git in a folder, without prompts and hooks, and return its output.

    Bytes that are not UTF-8, as in names of files, are surrogates, so that paths stay valid.

    Args:
        folder: a folder of the repository, which git finds from there, in a hook as well.
        arguments: the command and its arguments.
        given: lines for its standard input.
        timeout_s: seconds after which it is stopped.

    Raises:
        GitError: it failed, with the first line of its reason; it was stopped; or git cannot be
            run, with an OSError as the cause.
    """
    # messages are matched, hence the fixed language; git must not wait for a password, nor refresh
    # the caller's index on the way
    fixed = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            # no hook of a project runs: it may install things, or prompt
            ["git", "-c", f"core.hooksPath={os.devnull}", *arguments],
            cwd=folder,
            env=child_environment() | fixed,
            input="".join(f"{line}\n" for line in given).encode(),
            capture_output=True,
            timeout=timeout_s,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitError(f"git {arguments[0]} cannot be run: {error}") from error
    if done.returncode:
        lines = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        raise GitError(f"git {arguments[0]}: {lines[0] if lines else done.returncode}")
    return os.fsdecode(done.stdout)


def try_git(folder: Path, *arguments: str, given: Sequence[str] = ()) -> str:
    """Run git like :func:`run_git` for at most a minute; a failure or absent git yields ``""``."""
    try:
        return run_git(folder, *arguments, given=given, timeout_s=_SECONDS)
    except GitError:
        return ""


@dataclass(frozen=True)
class Commit:
    """A commit of a repository."""

    hash: str
    short: str
    date: str
    """Date of the committer, ISO 8601."""
    subject: str
    """Subject without control characters, which would affect a terminal."""


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
        form = "--format=%H%x00%h%x00%cI%x00%s"
        hashes = sorted(set(found.values()))
        log = self._git("log", "--no-walk=unsorted", form, "--stdin", given=hashes) if found else []
        parts = [line.split("\0", 3) for line in log]
        commits = {
            part[0]: Commit(part[0], part[1], part[2], "".join(filter(str.isprintable, part[3])))
            for part in parts
            if len(part) == 4
        }
        return {name: commits[full] for name, full in found.items() if full in commits}

    def sort_commits(self, hashes: Iterable[str]) -> list[str]:
        """Return full hashes with every commit after its parents, branches kept together."""
        wanted = set(hashes)
        lines = self._git("rev-list", "--topo-order", "--reverse", "--stdin", given=sorted(wanted))
        return [line for line in lines if line in wanted]

    def between(self, before: str, after: str) -> int | None:
        """Return the number of commits of ``after``, itself included, that ``before`` lacks."""
        lines = self._git("rev-list", "--count", f"{before}..{after}")
        return int(lines[0]) if lines else None

    def _git(self, *arguments: str, given: Sequence[str] = ()) -> list[str]:
        return try_git(self.root, *arguments, given=given).split("\n")[:-1]


def repository(place: Path) -> GitRepository | None:
    """Return the repository that a folder lies in; None outside of one, or without git."""
    root = try_git(place, "rev-parse", "--show-toplevel").removesuffix("\n")
    return GitRepository(Path(root)) if root else None


def is_hash(text: str) -> bool:
    """Return whether a text may be a commit's hash, short or full."""
    return bool(_HASH.fullmatch(text))
