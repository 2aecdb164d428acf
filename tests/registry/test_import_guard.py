"""A plugin that ends, crashes or hangs Python while it is imported is named."""

import os
import subprocess
import sys

import pytest

from attnbench.errors import PluginError
from attnbench.registry import import_guard
from attnbench.registry.plugins import Catalog


@pytest.fixture
def load(tmp_path):
    """Load a plugin file with this content."""

    def call(text):
        file = tmp_path / "mine.py"
        file.write_text(text)
        return Catalog().load_file(file)

    return call


@pytest.mark.parametrize("wrapped", ["{}", "try:\n    {}\nexcept Exception:\n    pass"])
def test_it_cannot_end_the_process(load, wrapped):
    before = os._exit
    with pytest.raises(PluginError, match=r"mine\.py.* fails: SystemExit: .*with os\._exit\(7\)"):
        load("import os\n" + wrapped.format("os._exit(7)"))
    assert os._exit is before
    assert import_guard.plugin_being_loaded() == ""


def test_a_process_that_it_forks_may_end(load):
    found = load("import os\npid = os.fork()\nif not pid: os._exit(7)\n_, end = os.waitpid(pid, 0)")
    assert os.waitstatus_to_exitcode(found.end) == 7


def test_one_that_takes_long_is_named(load, monkeypatch, caplog):
    monkeypatch.setattr(import_guard, "_LONG_S", 0.0)
    load(
        "import time\nfrom attnbench.registry.import_guard import plugin_being_loaded\n"
        "assert plugin_being_loaded().endswith('mine.py')\n"
        "time.sleep(0.1)"
    )
    assert caplog.messages[0].startswith("attnbench: still loading plugin ")
    assert caplog.messages[0].endswith("mine.py")


def test_one_that_crashes_is_named(tmp_path):
    (tmp_path / "mine.py").write_text("import os, signal\n\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    code = "from attnbench.registry.plugins import Catalog; Catalog().load_file('mine.py')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == -11
    assert 'mine.py", line 3' in done.stderr
