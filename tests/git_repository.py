"""A small git repository without any settings of the machine's."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


def git(folder, *words):
    """Return the output of git, which has no settings but a name to commit under."""
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    words = ["git", *identity, *words]
    done = subprocess.run(
        words, cwd=folder, check=True, capture_output=True, env=environment, text=True
    )
    return done.stdout.strip()


@dataclass
class Repository:
    """A repository with one commit after the other."""

    root: Path

    def git(self, *words):
        return git(self.root, *words)

    def commit_all(self, subject):
        self.git("add", "-A")
        return self.commit(subject)

    def commit(self, subject):
        self.git("commit", "-q", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def commits(self, count):
        return [self.commit(f"change {at}") for at in range(count)]


def make_repository(root):
    """Make an empty repository, or one of the files that are in the folder, committed."""
    root.mkdir(exist_ok=True)
    found = Repository(root)
    found.git("init", "-q", "-b", "main")
    if any(path.name != ".git" for path in root.iterdir()):
        found.commit_all("base")
    return found


@pytest.fixture
def repository(tmp_path):
    return make_repository(tmp_path / "project")
