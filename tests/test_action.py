"""The GitHub Action's scripts, run as a runner would, with a stand-in for the commands they call."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
COMPARE, COMMENT, INSTALL = (
    STEPS[name]
    for name in ("Compare with the base", "Comment on the pull request", "Install attnbench")
)

# writes the words it was called with, and ends as it is told
STAND_IN = """#!{python}
import json, os, pathlib, sys
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps(sys.argv) + "\\n")
sys.stdout.write(os.environ.get("PRINTED", ""))
sys.exit(int(os.environ.get("STATUS", "0")))
"""

pytestmark = pytest.mark.skipif(
    shutil.which("bash") is None, reason="the action runs on bash, which is not here"
)


@pytest.fixture
def call(tmp_path):
    """Run a step's script; return status, outputs and the words of each call."""
    for name in ("attnbench", "gh", "python"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(STAND_IN.format(python=sys.executable))
        path.chmod(0o755)

    def run(step, **given):
        environment = {
            **dict.fromkeys(step["env"], ""),
            "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "CALLS": str(tmp_path / "calls"),
            "RUNNER_TEMP": str(tmp_path),
            "GITHUB_OUTPUT": str(tmp_path / "outputs"),
            "PRINTED": "# Result\n",
            **given,
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            env=environment, cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        outputs = dict(one.split("=", 1) for one in _lines(tmp_path / "outputs"))
        return done, outputs, [json.loads(one)[1:] for one in _lines(tmp_path / "calls")]

    return run


def _lines(path):
    return path.read_text().splitlines() if path.exists() else []


def test_inputs_become_options(call, tmp_path):
    done, outputs, calls = call(
        COMPARE,
        BASE="main",
        SUITE="quick\n  own suite.toml  \n\n",
        PLUGIN="a.py",
        SOURCE="src\nlib",
        INSTALL="pip install .",
        ONLY="cost",
        BUDGET="3",
        STRICT="true",
        ALLOW_MISSING="false",
    )
    assert done.returncode == 0, done.stderr
    assert calls == [
        [
            "ci", "--base=main", "--format", "md", "--suite=quick", "--suite=own suite.toml",
            "--plugin=a.py", "--source=src", "--source=lib", "--install=pip install .",
            "--only=cost", "--budget=3", "--strict",
        ]
    ]  # fmt: skip
    assert outputs == {"ok": "true", "report": str(tmp_path / "attnbench.md")}
    assert (tmp_path / "attnbench.md").read_text() == "# Result\n"


def test_what_is_not_given_is_no_option(call):
    done, _, calls = call(COMPARE, BASE="main")
    assert done.returncode == 0 and calls == [["ci", "--base=main", "--format", "md"]]


EVIL = ["$(touch hit)", "`touch hit`", '"; touch hit; "', "--help", "a'b", "main && touch hit", "*"]


@pytest.mark.parametrize("evil", EVIL)
def test_no_input_is_a_command(call, tmp_path, evil):
    names = ("BASE", "SUITE", "PLUGIN", "SOURCE", "INSTALL", "ONLY", "BUDGET")
    done, _, calls = call(COMPARE, **dict.fromkeys(names, evil))
    assert done.returncode == 0, done.stderr
    assert [word.split("=", 1)[1] for word in calls[0] if "=" in word] == [evil] * 7
    assert not (tmp_path / "hit").exists()


@pytest.mark.parametrize("name", [name for name, step in STEPS.items() if "run" in step])
def test_scripts_hold_no_expression(name):
    assert "${{" not in STEPS[name]["run"]


@pytest.mark.parametrize(
    ("status", "printed", "outputs"),
    [("1", "# Result\n", ("false", True)), ("2", "", ("false", False))],
)
def test_a_failed_gate_fails_the_step(call, status, printed, outputs):
    done, found, _ = call(COMPARE, BASE="main", STATUS=status, PRINTED=printed)
    assert done.returncode == int(status)
    assert (found["ok"], "report" in found) == outputs


@pytest.mark.parametrize(
    ("given", "said"),
    [({}, "give the input base"), ({"BASE": "main", "STRICT": "yes"}, "strict is neither")],
)
def test_wrong_inputs(call, given, said):
    done, _, calls = call(COMPARE, **given)
    assert done.returncode == 2 and calls == []
    assert "::error::" in done.stdout and said in done.stdout


@pytest.mark.parametrize(
    ("version", "word"), [("", "/the/action"), ("0.1.0", "attnbench==0.1.0"), ("1; ls", "attnbench==1; ls")]
)  # fmt: skip
def test_what_is_installed(call, version, word):
    _, _, calls = call(INSTALL, VERSION=version, CHECKOUT="/the/action")
    assert calls == [["-m", "pip", "install", "--quiet", word]]


@pytest.mark.parametrize(
    ("known", "method", "place"),
    [
        ("12\n", "PATCH", "repos/o/r/issues/comments/12"),
        ("", "POST", "repos/o/r/issues/7/comments"),
    ],
)
def test_one_comment_is_written_anew(call, tmp_path, known, method, place):
    report = tmp_path / "report.md"
    report.write_text("é" * 40_000)
    done, _, calls = call(COMMENT, REPOSITORY="o/r", NUMBER="7", REPORT=str(report), PRINTED=known)
    assert done.returncode == 0, done.stderr
    assert calls[-1][:5] == ["api", "--silent", "--method", method, place]
    body = (tmp_path / "attnbench-comment.md").read_text()
    assert body.startswith("<!-- attnbench -->\né") and len(body) < 65_536


def test_a_comment_that_may_not_be_written_loses_no_verdict(call, tmp_path):
    (tmp_path / "report.md").write_text("# Result\n")
    done, _, _ = call(
        COMMENT, REPOSITORY="o/r", NUMBER="7", REPORT=str(tmp_path / "report.md"), STATUS="1"
    )
    assert done.returncode == 0 and "::warning::" in done.stdout


def test_outputs_and_inputs_are_wired():
    assert set(ACTION["outputs"]) == {"ok", "report"}
    used = re.findall(r"inputs\.([a-z-]+)", (ROOT / "action.yml").read_text())
    assert set(used) == set(ACTION["inputs"])


def test_our_workflow_gives_the_action_inputs_that_it_has():
    steps = WORKFLOW["jobs"]["regression"]["steps"]
    (own,) = [step for step in steps if step["uses"] == "./"]
    assert set(own["with"]) <= set(ACTION["inputs"])
    assert all((ROOT / one).is_dir() for one in own["with"]["source"].split())
