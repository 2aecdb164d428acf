"""Running the command line in this process, as a user would in a shell."""

import json
import sys
from dataclasses import dataclass

import pytest

from attnbench.cli import app
from attnbench.plugins import catalog


@dataclass
class Done:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def forget_plugins():
    """Plugin files of one test must not be known to the next."""
    before = catalog().modules.entries()
    yield
    catalog().modules.restore(before)
    catalog().files.clear()


@pytest.fixture
def attnbench(capfd, monkeypatch, tmp_path):
    """Call ``attnbench("cost", "-b", ...)`` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    # the handler belongs to the process of a real command, not to the tests'
    monkeypatch.setattr(app.signal, "signal", lambda *_: None)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["attnbench", *map(str, words)])
        status = 0
        try:
            app.main()
        except SystemExit as end:
            status = end.code or 0
        captured = capfd.readouterr()
        return Done(status, captured.out, captured.err)

    return call
