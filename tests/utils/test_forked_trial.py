"""What would end or hang the process of a command ends a copy of it."""

import logging
import os
import signal
import sys

import pytest

from attnbench.errors import PluginError
from attnbench.utils import forked_trial
from attnbench.utils.forked_trial import FIRST_PASS, IMPORT, run_after_trial, trials


@pytest.fixture
def tried():
    """Run an action as a command does."""

    def call(action, stage=IMPORT):
        with trials():
            return run_after_trial(action, "mine.py", stage)

    return call


def hang():
    while True:
        pass


def test_one_that_crashes_is_named_with_its_line(tried, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.py"
    file.write_text("import os\n\nos.abort()\n")
    code = compile(file.read_text(), file, "exec")
    with pytest.raises(PluginError) as raised:
        tried(lambda: exec(code))
    text = "mine.py ends Python during its import: got SIGABRT at mine.py:3"
    assert str(raised.value) == text


@pytest.mark.parametrize(
    ("end", "how"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "SIGSEGV"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "SIGKILL"),
        (lambda: os._exit(0), "exit status 0"),
        (lambda: os._exit(7), "exit status 7"),
    ],
)
def test_how_a_copy_ends(tried, end, how):
    with pytest.raises(PluginError, match=f"mine.py ends Python during its import: got {how}"):
        tried(end)


def test_one_that_hangs_is_ended(tried, monkeypatch, caplog):
    monkeypatch.setattr(forked_trial, "_LIMIT_S", 1.0)
    monkeypatch.setattr(forked_trial, "_LONG_S", 0.0)
    # libraries that earlier tests import configure logging, and disable loggers that are there
    logger = logging.getLogger("attnbench")
    monkeypatch.setattr(logger, "disabled", False)
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level(logging.WARNING, "attnbench")
    with pytest.raises(PluginError, match=r"hangs during its first forward pass: .* within 1 s"):
        tried(hang, FIRST_PASS)
    assert caplog.messages == [
        "attnbench: the first forward pass of mine.py takes long; it is ended after 1 s"
    ]


def test_output_and_exceptions_are_those_of_the_action(tried, capfd):
    calls = []

    def act():
        calls.append(os.getpid())
        os.write(1, b"written\n")
        raise ValueError("once")

    with pytest.raises(ValueError, match="once"):
        tried(act)
    assert calls == [os.getpid()]
    assert capfd.readouterr().out == "written\n"


def test_there_is_none_within_another(tried):
    depth = []

    def act():
        depth.append(forked_trial._ENABLED.get())
        return run_after_trial(lambda: depth.append(os.getpid()), "inner", IMPORT)

    tried(act)
    assert depth == [False, os.getpid()]


def test_it_is_for_commands_alone(monkeypatch):
    monkeypatch.setattr(os, "fork", None)
    assert run_after_trial(lambda: 3, "mine.py", IMPORT) == 3


def test_a_library_is_imported_here_and_not_by_the_copy(tried, monkeypatch, tmp_path):
    (tmp_path / "slow_library.py").write_text("import os\nimported_by = os.getpid()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(forked_trial, "_LIBRARY_OF", {118: "slow_library"})
    monkeypatch.delitem(sys.modules, "slow_library", raising=False)

    def act():
        import slow_library

        return slow_library.imported_by

    assert tried(act) == os.getpid()
    del sys.modules["slow_library"]


def test_where_no_process_can_be_started_the_action_runs_at_once(tried, monkeypatch):
    def refuse():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    assert tried(lambda: 3) == 3


def test_children_of_the_copy_end_with_it(tried):
    parent, (reading, writing) = os.getpid(), os.pipe()

    def leave_a_child():
        if os.getpid() != parent and os.fork() == 0:
            hang()

    tried(leave_a_child)
    os.close(writing)
    assert os.read(reading, 1) == b""  # the child would keep the pipe open
    os.close(reading)


def test_an_interruption_says_what_was_tried(tried, monkeypatch):
    parent, fork, copies = os.getpid(), os.fork, []
    monkeypatch.setattr(os, "fork", lambda: copies.append(fork()) or copies[-1])

    def interrupt():
        if os.getpid() != parent:
            os.kill(parent, signal.SIGINT)
            hang()

    with pytest.raises(KeyboardInterrupt, match=r"^during the import of mine\.py$"):
        tried(interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(copies[0], 0)
