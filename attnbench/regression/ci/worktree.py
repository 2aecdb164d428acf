"""Git checkout that is measured, and a temporary worktree of its base."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from attnbench.errors import AttnbenchError, RequestError

_DEEPEN = "50"
_PREFIX = "attnbench-base-"
_SHALLOW = (
    "this clone is shallow: fetch more of it (`fetch-depth: 0` of actions/checkout, "
    "`GIT_DEPTH: 0` in GitLab, `git fetch --unshallow`)"
)


class CheckoutError(AttnbenchError):
    """Failure of a git command."""


@dataclass(frozen=True)
class GitCheckout:
    """A git working tree.

    Attributes:
        root: its top folder.
    """

    root: Path

    @classmethod
    def find(cls, start: Path) -> GitCheckout:
        """Return the checkout that a folder is in.

        Raises:
            RequestError: git is missing, or the folder is in no checkout.
        """
        try:
            found = _git(start, "rev-parse", "--show-toplevel")
        except CheckoutError as error:
            if "dubious ownership" in str(error):
                raise RequestError(str(error)) from error
            raise RequestError(
                f"{start} is in no git checkout; run attnbench ci inside the one to measure"
            ) from error
        if not found:
            raise RequestError(f"{start} is in a git folder without a working tree")
        return cls(Path(found).resolve())

    def commit(self, revision: str) -> str:
        """Return the full id of a revision; an absent one is fetched.

        Raises:
            RequestError: it is unknown, or cannot be fetched into this shallow clone.
        """
        found = self._find_local(revision)
        if found:
            return found
        shallow = _git(self.root, "rev-parse", "--is-shallow-repository") == "true"
        why = ""
        try:
            found = self._fetch(revision, shallow)
        except CheckoutError as error:
            why = f" ({error})"
        if found:
            return found
        if shallow:
            raise RequestError(f"--base {revision!r} is not here{why}, and {_SHALLOW}")
        raise RequestError(f"--base {revision!r} is no revision of {self.root}{why}")

    def is_dirty(self) -> bool:
        """Return whether the working tree differs from its commit, new files included."""
        return bool(_git(self.root, "status", "--porcelain"))

    def files(self, commit: str | None = None) -> frozenset[str]:
        """Return the files of a commit, or without one the unignored files of the working tree."""
        arguments = ("ls-tree", "-r", "-z", "--name-only", commit) if commit else (
            "ls-files", "-z", "--cached", "--others", "--exclude-standard")  # fmt: skip
        return frozenset(_git(self.root, *arguments).split("\0")) - {""}

    def _find_local(self, revision: str) -> str:
        remote = self._remote()
        for name in (revision, *([f"{remote}/{revision}"] if remote else [])):
            try:
                return _git(
                    self.root, "rev-parse", "--verify", "--quiet", "--end-of-options",
                    f"{name}^{{commit}}",
                )  # fmt: skip
            except CheckoutError:
                continue
        return ""

    def _remote(self) -> str:
        names = _git(self.root, "remote").split()
        return "origin" if "origin" in names else next(iter(names), "")

    def _fetch(self, revision: str, shallow: bool) -> str:
        remote = self._remote()
        if not remote:
            return ""
        name, steps = re.fullmatch(r"([^~^]*)(.*)", revision, re.DOTALL).groups()  # type: ignore[union-attr]
        if name == "HEAD":
            if shallow:
                _git(self.root, "fetch", "--quiet", "--no-tags", "--deepen", _DEEPEN, remote)
            return self._find_local(revision)
        # --depth would truncate a full clone
        depth = ("--depth", _DEEPEN if steps else "1") if shallow else ()
        wanted = name.removeprefix(f"{remote}/")
        _git(self.root, "fetch", "--quiet", "--no-tags", *depth, remote, "--", wanted)
        return _git(self.root, "rev-parse", "--verify", f"FETCH_HEAD{steps}^{{commit}}")


@contextmanager
def base_worktree(checkout: GitCheckout, commit: str) -> Iterator[Path]:
    """Check a commit out into a temporary folder, which is removed in any case.

    Raises:
        CheckoutError: git failed; with its reason.
    """
    _remove_abandoned(checkout)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")).resolve()
    tree = folder / "base"
    try:
        _git(checkout.root, "worktree", "add", "--quiet",
             "--detach", str(tree), commit)  # fmt: skip
        yield tree
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _git(checkout.root, "worktree", "prune", check=False)


def _remove_abandoned(checkout: GitCheckout) -> None:
    """Remove the worktrees that killed processes left behind."""
    listed = _git(checkout.root, "worktree", "list", "--porcelain", check=False)
    for path in re.findall(rf"^worktree (.*/{_PREFIX}(\d+)-[^/]*)/base$", listed, re.MULTILINE):
        if not psutil.pid_exists(int(path[1])):
            shutil.rmtree(path[0], ignore_errors=True)


def _git(folder: Path, *arguments: str, check: bool = True) -> str:
    # messages are matched, hence the fixed language; git must not wait for a password
    environment = {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            # no hook of the project runs: it may install things, or prompt
            ["git", "-c", f"core.hooksPath={os.devnull}", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        raise RequestError(f"attnbench ci needs git, which cannot be run: {error}") from error
    if check and done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise CheckoutError(f"git {arguments[0]}: {lines[0] if lines else done.returncode}")
    return done.stdout.strip()
