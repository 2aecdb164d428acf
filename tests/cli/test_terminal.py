"""What a suite, a record, a file's name or an exception holds steers no terminal and no spreadsheet."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from attnbench.cli import output
from attnbench.cli.output import console, log, print_json, write
from attnbench.reports.terminal import plain_text

from ..gate_plugin import gate_plugin

HOSTILE = "\x1b[31mRED\x1b]0;owned\x07 \x1b]8;;http://x\x1b\\link \x9b1m \u202eback\u2066 @octocat"
CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
RAISING = """

def raising(text):
    raise RuntimeError(text)
"""
SUITE = """
[suite]
name = "hostile"
title = {0}
notes = [{0}]

[[table]]
title = {1}
columns = ["label", "params"]

[[table.row]]
label = {1}
module = "boom"
channels = 8
size = 8

[[table.row]]
label = {0}
module = "se"
channels = 16
size = 8
"""


@pytest.fixture
def hostile_run(attnbench):
    """Run a suite whose one module raises, and return what the command wrote."""
    Path("boom.py").write_text(gate_plugin("boom", output=f"raising({HOSTILE!r})") + RAISING)
    texts = json.dumps(HOSTILE), json.dumps(f"=HYPERLINK({HOSTILE})")
    Path("hostile.toml").write_text(SUITE.format(*texts))
    return attnbench("run", "hostile.toml", "--plugin", "boom.py", "--out", "out")


def test_a_hostile_run(hostile_run, attnbench):
    assert hostile_run.status == 1
    assert not CONTROL.search(hostile_run.out + hostile_run.err)
    assert r"RuntimeError: \x1b[31mRED\x1b]0;owned\x07" in hostile_run.err
    for form in ("text", "md", "html", "tex", "csv"):
        done = attnbench("table", "hostile", "--out", "out", "--format", form)
        assert done.status == 0
        assert "RED" in done.out and not CONTROL.search(done.out + done.err)
        assert "@octocat" not in done.out or form != "md"
        file = Path("out/hostile") / f"table.{form}"
        assert form == "text" or file.read_text() == done.out
    for row in csv.DictReader(io.StringIO(done.out)):
        assert row["table"].startswith("'=HYPERLINK(")
    done = attnbench("table", "hostile", "--out", "out", "--json")
    assert not CONTROL.search(done.out)
    assert HOSTILE in done.json[0]["reason"]


def test_a_name_in_an_error(attnbench):
    done = attnbench("table", f"no{HOSTILE}\udcff")
    assert done.status == 2
    assert not CONTROL.search(done.err) and r"\x1b[31mRED" in done.err


class Terminal(io.StringIO):
    """A terminal that keeps what it is sent."""

    def isatty(self):
        return True


def test_our_colours_and_cells_stay(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    shown = console(terminal)
    shown.print(plain_text("\x1b[5mbold", "bold"))
    shown.print("\x9b5mplain")
    assert "\x1b[1m\\x1b[5mbold\x1b[0m\n" in terminal.getvalue()
    assert "\\x9b5mplain\n" in terminal.getvalue()


def test_each_door(capsys):
    log(HOSTILE)
    write(HOSTILE + "\n\tof two lines\n")
    print_json({HOSTILE: HOSTILE})
    written = capsys.readouterr()
    assert not CONTROL.search(written.out + written.err)
    assert written.out.startswith("\\x1b[31mRED") and "\n\tof two lines\n" in written.out


def test_all_that_is_written_passes_one_door():
    """No command writes to a stream by itself."""
    folder = Path(output.__file__).parent
    pattern = re.compile(r"std(out|err)\.write|(?<![\w.])print\(|typer\.echo|(?<!\w)Console\(")
    found = {
        f"{file.name}: {match[0]}"
        for file in folder.glob("*.py")
        if file.name != "output.py"
        for match in pattern.finditer(file.read_text())
    }
    assert found == set()
