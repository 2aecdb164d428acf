import os
import subprocess
import sys

import pytest

from attnbench.errors import AttnbenchError, RequestError
from attnbench.regression.ci.worktree import GitCheckout, base_worktree


def test_the_repository_of_a_folder_within_it(repository):
    inside = repository / "a" / "b"
    inside.mkdir(parents=True)
    assert GitCheckout.find(inside).root == repository.resolve()


def test_a_folder_in_no_checkout(tmp_path):
    with pytest.raises(RequestError, match="is in no git checkout"):
        GitCheckout.find(tmp_path)


def test_git_is_missing(repository, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(RequestError, match="attnbench ci needs git: git rev-parse cannot be run"):
        GitCheckout.find(repository)


@pytest.mark.parametrize("revision", ["main~1", "HEAD~1", "old", "v1"])
def test_a_revision_by_any_name(repository, git, revision):
    git(repository, "branch", "old", "main~1")
    git(repository, "tag", "-a", "v1", "-m", "first", "main~1")
    assert GitCheckout.find(repository).commit(revision) == git(repository, "rev-parse", "main~1")


@pytest.mark.parametrize("revision", ["nonsense", "--upload-pack=touch bad", "main:file.txt", ""])
def test_an_unknown_revision(repository, revision):
    with pytest.raises(RequestError, match=r"--base .*revision of"):
        GitCheckout.find(repository).commit(revision)
    assert not (repository / "bad").exists()


def test_the_tree_of_base_goes_away_again(repository, git):
    (repository / "file.txt").write_text("not committed")
    found = GitCheckout.find(repository)
    with base_worktree(found, found.commit("main~2")) as tree:
        assert (tree / "file.txt").read_text() == "one"
        assert (repository / "file.txt").read_text() == "not committed"
    assert not tree.parent.exists()
    assert git(repository, "worktree", "list").count("\n") == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_it_goes_away_whatever_happens(repository, git, error):
    found = GitCheckout.find(repository)
    with pytest.raises(error), base_worktree(found, found.commit("main")) as tree:
        raise error
    assert not tree.parent.exists()
    assert git(repository, "worktree", "list").count("\n") == 0


def test_what_a_killed_process_left_is_removed(repository, git, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    folders = [tmp_path / f"attnbench-base-{pid}-x" for pid in (ended.pid, os.getpid())]
    for folder in folders:
        folder.mkdir()
        git(repository, "worktree", "add", "--quiet", "--detach", str(folder / "base"), "main")
    found = GitCheckout.find(repository)
    with base_worktree(found, found.commit("main")):
        assert [folder.exists() for folder in folders] == [False, True]
    assert git(repository, "worktree", "list").count("\n") == 1


def test_no_hook_of_the_project_runs(repository):
    hook = repository / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    found = GitCheckout.find(repository)
    with base_worktree(found, found.commit("main")) as tree:
        assert (tree / "file.txt").is_file()


def test_git_that_cannot_is_quoted(repository):
    found = GitCheckout.find(repository)
    with (
        pytest.raises(AttnbenchError, match="git worktree: fatal: invalid reference"),
        base_worktree(found, "0" * 40),
    ):
        pass


def test_a_dirty_tree_and_its_files(repository):
    found = GitCheckout.find(repository)
    assert not found.is_dirty()
    (repository / "new.py").write_text("")
    assert found.is_dirty()
    assert found.files() == {"file.txt", "new.py"}
    assert found.files(found.commit("main")) == {"file.txt"}


@pytest.fixture
def shallow(repository, git, tmp_path):
    """Return a clone of one commit of a branch, as CI makes it."""
    git(repository, "checkout", "-q", "-b", "change")
    (repository / "file.txt").write_text("changed")
    git(repository, "commit", "-q", "-a", "-m", "change")
    folder = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", "-b", "change", repository.as_uri(), str(folder))
    return folder


@pytest.mark.parametrize("revision", ["main", "origin/main", "main~1", "HEAD~2"])
def test_a_shallow_clone_fetches_the_base(shallow, repository, git, revision):
    where = {"origin/main": "main", "HEAD~2": "main~1"}.get(revision, revision)
    assert GitCheckout.find(shallow).commit(revision) == git(repository, "rev-parse", where)


def test_a_shallow_clone_without_its_origin_says_what_to_set(shallow, git):
    git(shallow, "remote", "set-url", "origin", "file:///nowhere/at/all")
    with pytest.raises(RequestError, match=r"(?s)--base .*'main' \(git fetch.*fetch-depth: 0"):
        GitCheckout.find(shallow).commit("main")


def test_a_whole_clone_is_not_made_shallow(repository, git, tmp_path):
    folder = tmp_path / "whole"
    git(tmp_path, "clone", "-q", repository.as_uri(), str(folder))
    git(repository, "branch", "later", "main")
    found = GitCheckout.find(folder)
    assert found.commit("later") == git(repository, "rev-parse", "main")
    assert git(folder, "rev-parse", "--is-shallow-repository") == "false"


@pytest.mark.parametrize("revision", [":/two", ":/^tw", "main^{/two}", "main^", "@~1", "HEAD^{}~1"])
def test_a_revision_of_any_syntax(repository, git, revision):
    assert GitCheckout.find(repository).commit(revision) == git(repository, "rev-parse", "main~1")


@pytest.mark.parametrize(
    "revision", ["main:refs/heads/new", "+main:new", ":new", "main..HEAD", "^main"]
)
def test_a_refspec_is_no_revision_and_writes_no_branch(repository, git, tmp_path, revision):
    git(tmp_path, "clone", "-q", repository.as_uri(), "clone")
    before = git(tmp_path / "clone", "for-each-ref")
    with pytest.raises(RequestError, match="--base is not a revision of"):
        GitCheckout.find(tmp_path / "clone").commit(revision)
    assert git(tmp_path / "clone", "for-each-ref") == before


@pytest.mark.parametrize(
    "name", ["ends in a space ", "ends in a line\n", " begins so", "b\udcffte"]
)
def test_a_folder_and_files_of_odd_names(repository, git, tmp_path, name):
    folder = repository.rename(tmp_path / name)
    (folder / name).touch()
    found = GitCheckout.find(folder)
    assert found.root == folder.resolve()
    assert found.files() == {name, "file.txt"}
    git(folder, "add", "-A")
    assert found.files() == {name, "file.txt"}
    with base_worktree(found, found.commit("main~1")) as tree:
        assert (tree / "file.txt").read_text() == "two"


def test_a_worktree_that_is_away_stays_listed(repository, git, tmp_path):
    git(repository, "worktree", "add", "--quiet", "--detach", str(tmp_path / "usb"), "main")
    (tmp_path / "usb").rename(tmp_path / "unplugged")
    found = GitCheckout.find(repository)
    with base_worktree(found, found.commit("main")):
        pass
    assert git(repository, "worktree", "list").count("\n") == 1
