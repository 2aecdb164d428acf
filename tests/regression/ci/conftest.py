"""Small git repositories, made by hand."""

import os
import subprocess

import pytest


@pytest.fixture(autouse=True)
def plain_git(monkeypatch):
    """Git as nobody has set it up, with a name to commit under."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A Tester")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "tester@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)


@pytest.fixture(autouse=True)
def sides_start_fast(forked_workers):
    """Each side is a process of its own all the same, and imports its own attnbench."""


@pytest.fixture
def git():
    def call(folder, *words):
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    return call


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
