"""Signals end a command with status 130 and a word, and errors of the system with one line."""

import importlib.util
import signal
import sys
from types import SimpleNamespace

import pytest

from attnbench.cli import app

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Ended(BaseException):
    """What ``os._exit`` is replaced by, as it cannot return."""


@pytest.fixture
def handled(monkeypatch):
    """Signals are handled as in a command, in this process."""
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        signal.signal(number, app._interrupt)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_is_an_interruption(handled, number):
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN  # no second one meanwhile


@pytest.mark.parametrize("number", ENDING)
def test_during_an_import_it_ends_the_process_at_once(
    handled, monkeypatch, capsys, tmp_path, number
):
    """Libraries swallow exceptions there, and fail later in other places."""

    def end(status):
        raise Ended(status)

    monkeypatch.setattr(app, "_exit", end)
    file = tmp_path / "swallows.py"
    file.write_text(
        "import signal\n"
        f"try:\n    signal.raise_signal({int(number)})\n"
        "except (Exception, KeyboardInterrupt):\n    pass\n"
    )
    spec = importlib.util.spec_from_file_location("swallows", file)
    with pytest.raises(Ended, match="130"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert capsys.readouterr().err == "attnbench: interrupted\n"


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (KeyboardInterrupt(), 130, "attnbench: interrupted\n"),
        (OSError(28, "No space left on device", "x.bin"), 2,
         "attnbench: x.bin cannot be used: No space left on device\n"),
        (OSError(28, "No space left on device"), 2, "attnbench: No space left on device\n"),
    ],
)  # fmt: skip
def test_what_a_command_does_not_handle_is_one_line(
    attnbench, monkeypatch, tmp_path, error, status, line
):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("attnbench.records.store.find_run", fail)
    done = attnbench("table", "mine")
    assert (done.status, done.out, done.err) == (status, "", line)


def test_a_signal_before_a_command_starts_is_an_interruption(monkeypatch, capsys):
    def fail():
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "signal", SimpleNamespace(SIG_IGN=0, getsignal=lambda number: 0))
    monkeypatch.setattr(app, "app", fail)
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert (ended.value.code, capsys.readouterr().err) == (130, "attnbench: interrupted\n")


def test_of_a_long_path_the_reason_stays():
    problem = app._problem(OSError(36, "File name too long", "a" * 6400))
    assert problem.endswith("cannot be used: File name too long") and len(problem) < 1000


def test_ignored_signals_stay_ignored(monkeypatch):
    """As under nohup, and in the background of a shell."""
    ignored = {signal.SIGHUP: signal.SIG_IGN}
    kept = SimpleNamespace(
        SIG_IGN=signal.SIG_IGN, getsignal=ignored.get, signal=ignored.__setitem__
    )
    monkeypatch.setattr(app, "signal", kept)
    monkeypatch.setattr(sys, "argv", ["attnbench", "--version"])
    with pytest.raises(SystemExit):
        app.main()
    assert ignored.pop(signal.SIGHUP) is signal.SIG_IGN
    assert ignored == dict.fromkeys([signal.SIGINT, signal.SIGTERM], app._interrupt)
