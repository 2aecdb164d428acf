"""Git hooks that check base out: the commit that is being made, its index and tree stay as they are."""

import os
import shlex
import sys
from pathlib import Path

import pytest

import attnbench
from attnbench.utils.git import child_environment, run_git
from attnbench.workers.process import Worker, WorkerError

HOOK = """#!{python} -P
import sys
sys.path.insert(0, {package!r})
from pathlib import Path
from attnbench.regression.ci.worktree import GitCheckout, base_worktree, create_venv
from attnbench.utils.git import child_environment

found = GitCheckout.find(Path.cwd())
dirty, files = found.is_dirty(), found.files()
with base_worktree(found, found.commit({base!r})) as tree, open({seen!r}, "a") as seen:
    assert not any(name in child_environment() for name in ("GIT_DIR", "GIT_INDEX_FILE"))
    seen.write((tree / "file.txt").read_text() + "\\n")
"""


@pytest.fixture
def hook(tmp_path):
    """Return what installs a hook; the texts of base's file that it saw are in ``seen``."""

    def install(folder, name):
        package = str(Path(attnbench.__file__).parents[1])
        base = run_git(folder, "rev-parse", "HEAD~1").strip()
        text = HOOK.format(
            python=sys.executable, package=package, base=base, seen=str(tmp_path / "seen")
        )
        path = folder / run_git(folder, "rev-parse", "--git-common-dir").strip() / "hooks" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
        path.chmod(0o755)
        return lambda: (tmp_path / "seen").read_text().split()

    return install


def change(folder):
    """Change the tracked file, and stage a new one."""
    (folder / "file.txt").write_text("mine")
    (folder / "new.txt").write_text("new")
    run_git(folder, "add", "new.txt")


def assert_committed(folder, git, *, new=True):
    assert git(folder, "show", "HEAD:file.txt") == "mine"
    assert git(folder, "status", "--porcelain") == ("" if new else "A  new.txt")
    assert git(folder, "ls-tree", "--name-only", "HEAD").split() == ["file.txt", *["new.txt"] * new]
    assert git(folder, "worktree", "list").count("attnbench-base") == 0


@pytest.mark.parametrize("name", ["pre-commit", "prepare-commit-msg", "commit-msg", "post-commit"])
@pytest.mark.parametrize("words", [["-a"], [], ["file.txt"], ["-a", "--amend"]], ids=" ".join)
def test_a_commit_keeps_the_users_changes(repository, git, hook, name, words):
    seen = hook(repository, name)
    change(repository)
    if not words:
        git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "four", *words)
    assert set(seen()) == {"two"}
    assert_committed(repository, git, new="file.txt" not in words)


def test_a_linked_worktree(repository, git, hook, tmp_path):
    folder = tmp_path / "linked"
    git(repository, "worktree", "add", "-q", "-b", "side", str(folder))
    seen = hook(folder, "pre-commit")
    change(folder)
    git(folder, "commit", "-q", "-a", "-m", "four")
    assert seen() == ["two"]
    assert_committed(folder, git)
    assert (repository / "file.txt").read_text() == "three"
    assert git(repository, "status", "--porcelain") == ""


def test_a_submodule(repository, git, hook, tmp_path):
    folder = tmp_path / "super"
    folder.mkdir()
    git(folder, "init", "-q")
    git(
        folder,
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        str(repository),
        "sub",
    )
    git(folder, "commit", "-q", "-m", "with a submodule")
    seen = hook(folder / "sub", "pre-commit")
    change(folder / "sub")
    git(folder / "sub", "commit", "-q", "-a", "-m", "four")
    assert seen() == ["two"]
    assert_committed(folder / "sub", git)
    assert git(folder, "status", "--porcelain") == "M sub"


@pytest.mark.parametrize("name", ["post-checkout", "pre-push"])
def test_hooks_beside_commits(repository, git, hook, tmp_path, name):
    git(tmp_path, "init", "-q", "--bare", "remote")
    seen = hook(repository, name)
    change(repository)
    before = git(repository, "status", "--porcelain"), git(repository, "ls-files", "--stage")
    if name == "pre-push":
        git(repository, "push", "-q", str(tmp_path / "remote"), "main")
    else:
        git(repository, "checkout", "-q", "-b", "other")
    assert seen() == ["two"]
    after = git(repository, "status", "--porcelain"), git(repository, "ls-files", "--stage")
    assert after == before
    assert (repository / "file.txt").read_text() == "mine"


def test_a_rebase_that_executes_it(repository, git, hook):
    seen = hook(repository, "by-hand")
    program = shlex.quote(str(repository / ".git/hooks/by-hand"))
    git(repository, "rebase", "-q", "-x", program, "--force-rebase", "HEAD~1")
    assert seen() == ["two"]
    assert git(repository, "show", "HEAD:file.txt") == "three"
    assert git(repository, "status", "--porcelain") == ""


def test_no_child_has_what_binds_git_to_a_repository(repository, git, monkeypatch, tmp_path):
    """The list of the installed git; its settings stay, as they do for submodules."""
    names = git(repository, "rev-parse", "--local-env-vars").split()
    settings = {"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"}
    for name in {*names} - settings:
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.name")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "of the environment")
    assert {name for name in child_environment() if name in names} == {"GIT_CONFIG_COUNT"}
    assert run_git(repository, "config", "user.name") == "of the environment\n"
    assert run_git(repository, "rev-parse", "--show-toplevel") == f"{repository.resolve()}\n"
    started = tmp_path / "started"
    program = f"import os; open({str(started)!r}, 'w').write('\\n'.join(os.environ))"
    with Worker(["-c", program]) as worker, pytest.raises(WorkerError):
        worker.run({})
    found = {*started.read_text().split("\n")}
    assert "PATH" in found and not found & ({*names} - settings)


def test_the_index_is_not_refreshed(repository):
    """A file that was touched has another time in the index, which ``git status`` would write."""
    os.utime(repository / "file.txt", (1, 1))
    before = (repository / ".git/index").read_bytes()
    assert run_git(repository, "status", "--porcelain") == ""
    assert (repository / ".git/index").read_bytes() == before
