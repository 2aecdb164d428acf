"""Small git repositories, made by hand."""

import os

import pytest

from ...git_repository import git


@pytest.fixture(autouse=True)
def plain_git(monkeypatch):
    """Git without any settings of the machine's."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)


@pytest.fixture(autouse=True)
def sides_start_fast(forked_workers):
    """Each side is a process of its own all the same, and imports its own attnbench."""


@pytest.fixture(name="git")
def git_fixture():
    return git


@pytest.fixture
def repository(git, tmp_path):
    """Return a checkout with three commits on ``main``: ``file.txt`` says one, two, three."""
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for word in ("one", "two", "three"):
        (folder / "file.txt").write_text(word)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", word)
    return folder
