"""The settings of a project, as the commands read them."""

import json

import pytest

from ..gate_plugin import gate_plugin

SUITE = """
[suite]
name = "own"
title = "Own"

[[table]]
columns = ["label", "params"]

[[table.row]]
module = ["se", "mine"]
channels = 16
size = 7
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "mine.py").write_text(gate_plugin("mine"))
    (tmp_path / "other.py").write_text(gate_plugin("other"))
    (tmp_path / "own.toml").write_text(SUITE)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.attnbench]\nplugins = ["mine.py"]\nsuites = ["own.toml"]\nout = "runs"\n'
    )
    return tmp_path


def names(attnbench, *options):
    done = attnbench("list", "modules", "--json", *options)
    assert done.status == 0
    return {one["name"] for one in json.loads(done.out)}


def test_plugins_are_loaded_beside_given_ones_and_once(attnbench, project):
    assert "mine" in names(attnbench) and "other" not in names(attnbench)
    assert {"mine", "other"} <= names(attnbench, "--plugin", "other.py", "--plugin", "mine.py")


def test_suites_and_folder_of_runs(attnbench, project, request):
    assert attnbench("run").status == 0
    assert (project / "runs" / "own" / "table.md").is_file()
    assert "mine" in attnbench("table", "own").out
    request.getfixturevalue("worker_here")  # that the plugin reaches a worker is seen above
    assert attnbench("run", "--out", "elsewhere").status == 0  # flags win
    assert (project / "elsewhere" / "own" / "table.md").is_file()


def test_a_wrong_file_is_one_line(attnbench, project):
    (project / "pyproject.toml").write_text("[tool.attnbench]\nsuits = []\n")
    done = attnbench("run")
    assert done.status == 2
    assert "pyproject.toml" in done.err
    assert "'suites'" in done.err and len(done.err.splitlines()) == 1


@pytest.mark.usefixtures("worker_here")
def test_budget(attnbench, project):
    (project / "pyproject.toml").write_text("[tool.attnbench]\nbudget = 0.2\n")
    done = attnbench("latency", "-m", "se", "--channels", 16, "--size", 7, "--json")
    assert done.status == 0
    assert json.loads(done.out)["runtimes"]["eager"]["verdict"]
