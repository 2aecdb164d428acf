"""docs/ten_minutes.md: its code is the example's, its commands work and print what it says.

Run this file to write what the console blocks print anew.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from attnbench.cli import app
from attnbench.registry.plugins import catalog

ROOT = Path(__file__).parent.parent
WALK = ROOT / "docs" / "ten_minutes.md"
EXAMPLE = ROOT / "examples" / "strip_gate"
BLOCK = re.compile(r"```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)


def blocks(kind):
    found = BLOCK.finditer(WALK.read_text(encoding="utf-8"))
    return [one["text"] for one in found if one["kind"] == kind]


def commands(kind):
    """The attnbench commands of the blocks of a kind, with what follows their line."""
    return [
        (command.removeprefix("$ "), text.partition("\n")[2])
        for text in blocks(kind)
        for command in text.replace("\\\n", " ").splitlines()
        if command.removeprefix("$ ").startswith("attnbench ")
    ]


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Be in a copy of the example: an author's folder, in which nothing is installed."""
    shutil.copytree(EXAMPLE, tmp_path / "strip_gate", ignore=shutil.ignore_patterns("attnbench-*"))
    monkeypatch.chdir(tmp_path / "strip_gate")
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = catalog().modules.entries()
    yield tmp_path / "strip_gate"
    catalog().modules.restore(before)
    catalog().files.clear()
    for name in [one for one in sys.modules if one.partition(".")[0] == "strip_gate"]:
        del sys.modules[name]


def call(command, monkeypatch, *more):
    """Run a command in this process; it must succeed."""
    monkeypatch.setattr(sys, "argv", [*shlex.split(command), *more])
    try:
        app.main()
    except SystemExit as end:
        assert not end.code, command


def tidy(text):
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n") + "\n"


def test_the_code_is_the_examples():
    files = [one.read_text() for one in EXAMPLE.rglob("*.py")]
    found = blocks("python")
    assert len(found) == 3
    for text in found:
        assert any(text in one for one in files), text[:200]
    assert found[0] == (EXAMPLE / "src/strip_gate/module.py").read_text()
    assert found[2] == (EXAMPLE / "tests/test_strip_gate.py").read_text()


@pytest.mark.parametrize(("command", "output"), commands("console"))
def test_a_console_block_is_what_the_command_prints(
    command, output, example, monkeypatch, capfd, tmp_path
):
    if command.startswith("attnbench new"):
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
    call(command, monkeypatch)
    assert tidy(capfd.readouterr().out) == output


@pytest.mark.parametrize(
    "command", [one for one, _ in commands("sh") if one.startswith("attnbench run")]
)
def test_a_run_has_the_new_module(command, example, monkeypatch, capfd):
    call(command, monkeypatch, "--dry-run", "-v")
    planned = capfd.readouterr().out.splitlines()
    assert [line for line in planned if "/strip_gate/" in line]
    assert [line for line in planned if "/se/" in line]


def test_the_row_of_the_published_table(example, monkeypatch, capfd):
    command = next(one for one, _ in commands("sh") if "ulsam-table1" in one)
    call(command, monkeypatch)
    (row,) = blocks("latex")[0].splitlines()
    capfd.readouterr()
    call("attnbench table ulsam-table1 --preset paper", monkeypatch)
    assert row in capfd.readouterr().out.splitlines()


def test_the_readme_leads_here():
    assert "docs/ten_minutes.md" in (ROOT / "README.md").read_text(encoding="utf-8")


def rewrite():
    """Put what the console blocks print into the page."""

    def printed(block):
        if block["kind"] != "console" or "attnbench cost" not in block["text"]:
            return block[0]
        command = block["text"].partition("\n")[0]
        words = [sys.executable, "-m", *shlex.split(command.removeprefix("$ "))]
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(words, capture_output=True, check=True, env=environment, cwd=EXAMPLE)
        return f"```console\n{command}\n{tidy(done.stdout.decode())}```"

    WALK.write_text(BLOCK.sub(printed, WALK.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    rewrite()
