"""``attnbench check``, in worker processes."""

import json
import os
import signal
import time

import pytest

from attnbench.cli.progress import CheckBar, CheckLines, check_progress
from attnbench.conformance.checks import CHECKS
from attnbench.conformance.findings import ConformanceReport, failure, success

QUICK = ("--select", "batch_independence,batch_one")
TROUBLE = """
import os, signal, sys, time
import attnbench
from torch import nn

print("printed by the plugin")
os.write(1, b"from below\\n")

class Gate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        print("printed by the constructor")
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        return x * self.conv(x).sigmoid()

@attnbench.register("sound")
class Sound(Gate):
    pass

@attnbench.register("mixes")
class Mixes(Gate):
    def forward(self, x):
        return x * self.conv(x).softmax(0)

@attnbench.register("hangs")
class Hangs(Gate):
    def forward(self, x):
        while self.training:
            time.sleep(0.1)
        return super().forward(x)

@attnbench.register("crashes")
class Crashes(Gate):
    def forward(self, x):
        if self.training and x.requires_grad:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().forward(x)

@attnbench.register("exits")
class Exits(Gate):
    def forward(self, x):
        if self.training and x.requires_grad:
            print("last words", file=sys.stderr, flush=True)
            os._exit(3)
        return super().forward(x)
"""
SUITE = """
[suite]
name = "mine"
title = "Mine"

[[table]]
columns = ["label", "params"]

[[table.row]]
module = ["se", "se,reduction=8", "se"]
channels = 16
size = 8
"""


@pytest.fixture
def trouble(tmp_path):
    (tmp_path / "trouble.py").write_text(TROUBLE)
    return "trouble.py"


def test_modules_that_hang_crash_exit_or_print_spoil_nobody_else(attnbench, trouble):
    names = ("hangs", "crashes", "exits", "sound")
    done = attnbench(
        "check",
        *names,
        "--plugin",
        trouble,
        "--select",
        "batch_one",
        "--limit",
        5,
        "--jobs",
        2,
        "--json",
    )
    assert done.status == 1
    arms = {one["name"]: one for one in done.json["arms"]}
    assert list(arms) == list(names)
    found = {name: arm["findings"][0] for name, arm in arms.items()}
    assert [one["status"] for one in found.values()] == ["broken", "broken", "broken", "ok"]
    assert "5 s" in found["hangs"]["reason"]
    assert "SIGSEGV" in found["crashes"]["reason"]
    assert "3" in found["exits"]["reason"] and "last words" in found["exits"]["reason"]
    assert arms["sound"]["passed"] and arms["sound"]["counts"]["ok"] == 1
    assert done.out.startswith("{") and "from below" not in done.out  # all else went to stderr
    assert "hangs: batch_one " in done.err
    assert "/4] sound ok" in done.err and "printed by the plugin" in done.err


@pytest.mark.usefixtures("worker_here")
def test_a_suite_and_its_options_in_markdown(attnbench, tmp_path):
    (tmp_path / "mine.toml").write_text(SUITE)
    done = attnbench("check", "mine.toml", "--select", "batch_one", "--format", "md")
    assert done.status == 0
    assert done.out.startswith("**attnbench check: 2 modules, all ok**\n")
    assert "| `se` | ok |" in done.out and "| `se,reduction=8` | ok |" in done.out


def test_a_project_s_own_modules_are_those_of_its_plugins(attnbench, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.attnbench]\nplugins = ['one.py']\n")
    (tmp_path / "one.py").write_text(TROUBLE.partition('@attnbench.register("hangs")')[0])
    done = attnbench("check", *QUICK)
    assert done.status == 1
    lines = done.out.splitlines()
    assert lines[0].startswith("mixes  broken  2 checks, 2 broken, ")
    assert "in eval an image's output depends on the others of its batch" in lines[1]
    assert lines[2].strip().startswith("do: Reduce, normalise and split")
    assert lines[5].startswith("sound  ok      2 checks, ")
    assert lines[-1] == "2 modules; 1 broken: mixes"


def test_all_has_what_cannot_be_loaded_too(attnbench, monkeypatch):
    """Nothing is examined: every other module is taken out, so that no worker is needed."""
    from attnbench.registry.plugins import Catalog

    own = Catalog()
    own.add_table({"gone": "nowhere_at_all:Gone", "Bad": "x:y"}, "half (half:TABLE)")
    monkeypatch.setattr("attnbench.registry.plugins.catalog", lambda: own)
    done = attnbench("check", "--all", "--json")
    assert done.status == 1
    first, second = done.json["arms"]
    assert (first["name"], first["passed"]) == ("gone", False)
    assert first["findings"][0]["check"] == "contract"
    assert "nowhere_at_all" in first["findings"][0]["reason"]
    assert second["name"] == "half (half:TABLE)" and "lower case" in second["findings"][0]["reason"]
    assert attnbench("check", "gone").out.startswith("gone  broken  1 check, 1 broken, 0.0 s")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "--all"),
        (("sse",), "'se'"),
        (("quik",), "'quick'"),
        (("mobilenet_v2",), "backbone"),
        (("se,reductoin=3",), "'reduction'"),
        (("nope.toml",), "nope.toml"),
        (("nope.py:Gone",), "nope.py"),
        (("se", "--select", "batch_on"), "'batch_one'"),
        (("se", "--limit", "0"), "--limit"),
        (("se", "--limit", "nan"), "--limit"),
        (("se", "--format", "csv"), "Known: json, md, text"),
        (("se", "--json", "--format", "md"), "'md'"),
        (("se", "--jobs", "0"), "--jobs"),
        (("--plugin", "nope.py"), "nope.py"),
    ],
)
def test_mistakes_are_told_in_a_line(attnbench, words, text, monkeypatch):
    monkeypatch.setattr("attnbench.conformance.runner.ConformanceRunner.start", lambda _: None)
    done = attnbench("check", *words)
    assert (done.status, done.out) == (2, "")
    assert text in done.err and "Traceback" not in done.err


def test_control_c_ends_it_with_what_is_known(trouble, tmp_path, fork_server):
    words = ("sound", "hangs", "mixes", "--plugin", trouble, *QUICK, "--json")
    with (
        (tmp_path / "err").open("w") as err,
        fork_server.attnbench("check", *words, stderr=err, cwd=tmp_path) as process,
    ):
        while "[1/3] sound ok" not in (tmp_path / "err").read_text() and process.poll() is None:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it, too
        out, status = process.stdout.read(), process.wait(timeout=60)
        said = (tmp_path / "err").read_text()
    assert status == 130 and "Traceback" not in said
    assert [one["name"] for one in json.loads(out)["arms"]] == ["sound", "hangs"]
    assert "2 of 3" in said


@pytest.mark.parametrize("display", [CheckBar, CheckLines])
def test_checks_are_followed_on_standard_error(display, capsys):
    shown = display()
    shown.begin(2, 2)
    for name in ("se", "bam"):
        for check in ("maps", "onnx"):
            shown.check(name, CHECKS[check])
        shown.lost(name, CHECKS["onnx"], "did not finish")
        shown.done(
            ConformanceReport(
                name, name, "", (success().of("maps"), failure("x", "").of("onnx")), 1.5
            )
        )
    shown.end()
    written = capsys.readouterr()
    assert written.out == "" and "bam: onnx did not finish\n" in written.err
    if display is CheckLines:
        assert "se: onnx\n" in written.err and "[2/2] bam broken (1.5 s)" in written.err


def test_lines_where_there_is_no_terminal():
    assert isinstance(check_progress(), CheckLines)
