"""The command, on this machine; its checks have tests of their own."""

import sys

import pytest
import typer

from attnbench.cli import app, doctor
from attnbench.doctor.host import SystemFinding
from attnbench.doctor.noise_floor import NoiseFloor

FLOOR = NoiseFloor("mobilenet_v2", 2.0, 40, 30.0, 1.001, 0.996, 1.004, 0.004, "ok")
FINDINGS = [
    SystemFinding("memory", "ok", "9 GiB available"),
    SystemFinding("load", "warning", "[9] on 2 cores", "others take cores", "end them"),
    SystemFinding("turbo", "note", "on", "clocks change"),
]


@pytest.fixture
def real(attnbench, monkeypatch):
    """Call ``attnbench doctor``, the command alone."""
    alone = typer.Typer()
    alone.command("doctor")(doctor.command)
    alone.callback()(lambda: None)
    monkeypatch.setattr(app, "app", alone)
    return lambda *words: attnbench("doctor", *words)


@pytest.fixture
def run(real, monkeypatch):
    """The same on a machine that is made up."""
    monkeypatch.setattr("attnbench.doctor.host.this_host", lambda: None)
    monkeypatch.setattr("attnbench.doctor.diagnose.examine", lambda host: list(FINDINGS))
    monkeypatch.setattr("attnbench.doctor.noise_floor.measure_floor", lambda budget: FLOOR)
    return real


def test_on_this_machine(real):
    done = real("--budget", "0", "--json")
    assert done.status == 0
    names = [one["name"] for one in done.json["findings"]]
    assert {"threads", "versions", "instruction set"} <= set(names)
    assert len(set(names)) == len(names)
    assert not [one for one in done.json["findings"] if "could not be looked at" in one["value"]]


def test_json(run):
    done = run("--json")
    assert set(done.json) == {"machine", "findings", "floor"}
    assert set(done.json["machine"]) == {"system", "processor", "cores", "isa"}
    assert done.json["findings"][1] == {
        "name": "load",
        "level": "warning",
        "value": "[9] on 2 cores",
        "why": "others take cores",
        "remedy": "end them",
    }
    assert done.json["floor"]["floor"] == 0.004
    assert done.status == 0
    assert "5 s" in done.err


def test_text_has_the_worst_first(run):
    done = run("--budget", "2")
    lines = done.out.splitlines()
    firsts = [line.split()[0] for line in lines if line[:1] in "wno" and line[:1].strip()]
    assert firsts[:3] == ["warning", "note", "ok"]
    assert "[9] on 2 cores" in done.out
    assert "why: others take cores" in done.out
    assert "do: end them" in done.out
    assert "A/A floor: mobilenet_v2" in done.out
    assert "differences above 0.4% can be detected here" in done.out


def test_without_a_floor(run):
    assert run("--budget", "0", "--json").json["floor"] is None
    assert "A/A" not in run("--budget", "0").out


def test_strict_is_for_scripts(run, monkeypatch):
    assert run("--budget", "0").status == 0
    assert run("--budget", "0", "--strict").status == 1
    monkeypatch.setattr("attnbench.doctor.diagnose.examine", lambda host: [FINDINGS[0]])
    assert run("--budget", "0", "--strict").status == 0


@pytest.mark.parametrize("words", [("--format", "csv"), ("--json", "--format", "text")])
def test_mistakes(words, run):
    assert run(*words).status == 2


def test_importing_the_command_imports_no_torch():
    import subprocess

    code = "import sys, attnbench.cli.doctor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
