"""Signals end a command with status 130 and a word, and errors of the system with one line."""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from attnbench.cli import app, signals
from attnbench.cli.output import command_to_go_on
from attnbench.utils.toml import read_toml

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Ended(BaseException):
    """What ``os._exit`` is replaced by, as it cannot return."""


@pytest.fixture
def handled():
    """Signals are handled as in a command, in this process."""
    before = {number: signal.getsignal(number) for number in ENDING}
    signals.handle_signals()
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
    handled, monkeypatch, capfd, tmp_path, number
):
    """Libraries swallow exceptions there, and fail later in other places."""

    def end(status):
        raise Ended(status)

    monkeypatch.setattr(signals.os, "_exit", end)
    file = tmp_path / "swallows.py"
    file.write_text(
        "import signal\n"
        f"try:\n    signal.raise_signal({int(number)})\n"
        "except (Exception, KeyboardInterrupt):\n    pass\n"
    )
    spec = importlib.util.spec_from_file_location("swallows", file)
    with pytest.raises(Ended, match="130"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert capfd.readouterr().err == "attnbench: interrupted\n"


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
    monkeypatch.setattr(signals, "signal", kept)
    signals.handle_signals()
    assert ignored.pop(signal.SIGHUP) is signal.SIG_IGN
    assert ignored == dict.fromkeys([signal.SIGINT, signal.SIGTERM], signals._interrupt)


def console_script():
    """Return the arguments of an interpreter that do what the installed script does."""
    project = Path(__file__).parents[2] / "pyproject.toml"
    module, _, function = read_toml(project)["project"]["scripts"]["attnbench"].partition(":")
    return "-c", f"from {module} import {function}; {function}()"


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("start", [("-m", "attnbench"), console_script()])
def test_while_the_commands_are_imported(tmp_path, start, number):
    (tmp_path / "typer.py").write_text(f"import signal\nsignal.raise_signal({int(number)})\n")
    done = subprocess.run(
        [sys.executable, *start, "list"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "attnbench: interrupted\n")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["run", "quick"], "the same command"),
        (["run", "quick", "--fresh", "--case", "*/se/*"], "attnbench run quick --case '*/se/*'"),
    ],
)
def test_the_command_that_goes_on_measures_nothing_again(words, command, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["attnbench", *words])
    assert command_to_go_on() == command
