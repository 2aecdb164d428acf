"""A small git repository without any settings of the machine's."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class Repository:
    """A repository with one commit after the other."""

    root: Path

    def git(self, *words):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        environment = {
            **os.environ,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
        }
        return subprocess.run(
            ["git", *identity, *words], cwd=self.root, check=True, capture_output=True, env=environment, text=True
        ).stdout.strip()  # fmt: skip

    def commit(self, subject):
        self.git("commit", "-q", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def commits(self, count):
        return [self.commit(f"change {at}") for at in range(count)]


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    found = Repository(root)
    found.git("init", "-q", "-b", "main")
    return found
