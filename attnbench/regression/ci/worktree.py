"""The git checkout that is measured, a worktree of its base, and an environment for each."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from attnbench.errors import AttnbenchError, RequestError
from attnbench.utils.git import GitError, child_environment, is_hash, run_git, try_git

_DEEPEN = "50"
_PREFIX = "attnbench-base-"
_SHALLOW = (
    "The clone is shallow: fetch more commits (`fetch-depth: 0` of actions/checkout, "
    "`GIT_DEPTH: 0` in GitLab, `git fetch --unshallow`)"
)


@dataclass(frozen=True)
class GitCheckout:
    """A git working tree, by its top folder."""

    root: Path

    @classmethod
    def find(cls, start: Path) -> GitCheckout:
        """Return the checkout that a folder is in.

        Raises:
            RequestError: git is missing, or the folder is in no checkout.
        """
        try:
            found = run_git(start, "rev-parse", "--show-toplevel").removesuffix("\n")
        except GitError as error:
            if isinstance(error.__cause__, OSError):
                raise RequestError(f"attnbench ci needs git: {error}") from error
            if "dubious ownership" in str(error):
                raise RequestError(str(error)) from error
            raise RequestError(
                f"folder is in no git checkout: got {start}. Run attnbench ci inside a checkout"
            ) from error
        if not found:
            raise RequestError(f"git folder has no working tree: got {start}")
        return cls(Path(found).resolve())

    def commit(self, revision: str) -> str:
        """Return the full id of a revision; an absent one is fetched.

        Raises:
            RequestError: it is unknown, or cannot be fetched into this shallow clone.
        """
        found = self._find_local(revision)
        if found:
            return found
        shallow = self._git("rev-parse", "--is-shallow-repository") == "true"
        why = ""
        try:
            found = self._fetch(revision, shallow)
        except GitError as error:
            why = f" ({error})"
        if found:
            return found
        if shallow:
            raise RequestError(f"--base is not in this clone: got {revision!r}{why}. {_SHALLOW}")
        raise RequestError(f"--base is not a revision of {self.root}: got {revision!r}{why}")

    def is_dirty(self) -> bool:
        """Return whether the working tree differs from its commit, new files included."""
        return bool(self._git("status", "--porcelain"))

    def files(self, commit: str | None = None) -> frozenset[str]:
        """Return the files of a commit, or without one the unignored files of the working tree."""
        arguments = ("ls-tree", "-r", "-z", "--name-only", commit) if commit else (
            "ls-files", "-z", "--cached", "--others", "--exclude-standard")  # fmt: skip
        return frozenset(self._git(*arguments).split("\0")) - {""}

    def _find_local(self, revision: str) -> str:
        remote = self._remote()
        for name in (revision, *([f"{remote}/{revision}"] if remote else [])):
            with suppress(GitError):
                found = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", name)
                if is_hash(found):  # of `^main` it is not
                    # not NAME^{commit} at once: in `:/text^{commit}` that would be part of the text
                    return self._git("rev-parse", "--verify", "--quiet", f"{found}^{{commit}}")
        return ""

    def _remote(self) -> str:
        names = self._git("remote").splitlines()
        return "origin" if "origin" in names else next(iter(names), "")

    def _fetch(self, revision: str, shallow: bool) -> str:
        remote = self._remote()
        if not remote:
            return ""
        name, steps = re.fullmatch(r"([^~^]*)(.*)", revision, re.DOTALL).groups()  # type: ignore[union-attr]
        if name == "HEAD":
            if shallow:
                self._git("fetch", "--quiet", "--no-tags", "--deepen", _DEEPEN, remote)
            return self._find_local(revision)
        # --depth would truncate a full clone
        depth = ("--depth", _DEEPEN if steps else "1") if shallow else ()
        wanted = name.removeprefix(f"{remote}/")
        self._git("check-ref-format", "--allow-onelevel", wanted)  # A:B would write a branch here
        self._git("fetch", "--quiet", "--no-tags", *depth, remote, "--", wanted)
        return self._git("rev-parse", "--verify", f"FETCH_HEAD{steps}^{{commit}}")

    def _git(self, *arguments: str) -> str:
        return run_git(self.root, *arguments).removesuffix("\n")


@contextmanager
def base_worktree(checkout: GitCheckout, commit: str) -> Iterator[Path]:
    """Check a commit out into a temporary folder, which is removed in any case.

    Raises:
        GitError: git failed; with its reason.
    """
    _remove_abandoned(checkout)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")).resolve()
    tree = folder / "base"
    try:
        run_git(checkout.root, "worktree", "add", "--quiet", "--detach", str(tree), commit)
        yield tree
    finally:
        _remove(checkout, folder)


def _remove_abandoned(checkout: GitCheckout) -> None:
    """Remove the worktrees that killed processes left behind."""
    listed = try_git(checkout.root, "worktree", "list", "--porcelain")
    for path in re.findall(rf"^worktree (.*/{_PREFIX}(\d+)-[^/]*)/base$", listed, re.MULTILINE):
        if not psutil.pid_exists(int(path[1])):
            _remove(checkout, Path(path[0]))


def _remove(checkout: GitCheckout, folder: Path) -> None:
    """Remove a folder with a worktree of base; other worktrees, lost ones as well, stay listed."""
    shutil.rmtree(folder, ignore_errors=True)
    try_git(checkout.root, "worktree", "remove", "--force", "--force", str(folder / "base"))


_LIMIT_S = 1800
_SHOWN = 30
"""Maximum number of output lines that are reported for a failed command."""


def create_venv(
    folder: Path, tree: Path, command: str, name: str, progress: Callable[[str], object]
) -> tuple[str, dict[str, str]]:
    """Create a virtual environment and run a shell command in a tree, as ``pip install -e .``.

    Packages of the current environment are importable, too (torch is not installed again), after
    those that the command installs. If it fails, ``progress`` receives its last lines of output.

    Returns:
        Its interpreter, and the variables that put it first.

    Raises:
        AttnbenchError: the command failed; with its last line.
    """
    create = [sys.executable, "-m", "venv", str(folder)]
    _run(create, tree, child_environment(), f"{name}: venv", progress)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    python = str(scripts / Path("python.exe" if os.name == "nt" else "python"))
    _share_site_packages(folder)
    variables = {
        "VIRTUAL_ENV": str(folder),
        "PATH": os.pathsep.join([str(scripts), os.environ.get("PATH", "")]),
    }
    shell = ["cmd", "/c", command] if os.name == "nt" else ["/bin/sh", "-c", command]
    environment = child_environment() | variables
    environment.pop("PYTHONPATH", None)  # it may name head's tree
    _run(shell, tree, environment, f"{name}: --install {command!r}", progress)
    return python, variables


def _share_site_packages(folder: Path) -> None:
    """Put the current site-packages behind the environment's own, ``.pth`` files included."""
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    ours = dict.fromkeys(sysconfig.get_path(scheme) for scheme in ("purelib", "platlib"))
    line = "import site; " + "; ".join(f"site.addsitedir({path!r})" for path in ours)
    file = Path(paths["purelib"]) / "zz_attnbench_outer.pth"  # last: files are read by name
    file.write_text(line + "\n", encoding="utf-8")


def _run(
    command: list[str],
    folder: Path,
    environment: dict[str, str],
    label: str,
    progress: Callable[[str], object],
) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=_LIMIT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise AttnbenchError(f"{label} did not end within {_LIMIT_S} s") from None
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        last = f": {lines[-1]}" if lines else ""
        for line in lines[-_SHOWN:]:
            progress(line)
        raise AttnbenchError(f"{label} failed (exit status {done.returncode}){last}")
