"""A damaged record costs its own case: commands leave it out and say so in one line."""

import json
import shutil

import pytest

from attnbench.records.store import FILE

SUITE = """
[suite]
name = "mine"
title = "Mine"

[[table]]
columns = ["label", "params"]

[[table.row]]
backbone = "mobilenet_v2,width=0.35"
module = ["se", "eca"]
placement = "after:14"
"""
CASE = "cost/mobilenet_v2,width=0.35/se/after:14"


@pytest.fixture(scope="module")
def measured(tmp_path_factory, run_here):
    folder = tmp_path_factory.mktemp("measured")
    (folder / "mine.toml").write_text(SUITE)
    run_here(folder, "run", "mine.toml", "--out", "sound")
    return folder


@pytest.fixture
def place(attnbench, tmp_path, measured):
    """File and line of a damaged record in ``out/mine``, beside the sound run in ``sound/mine``."""
    shutil.copytree(measured, tmp_path, dirs_exist_ok=True)
    shutil.copytree(tmp_path / "sound", tmp_path / "out")
    path = tmp_path / "out" / "mine" / FILE
    lines = path.read_text().splitlines()
    number = next(n for n, line in enumerate(lines) if json.loads(line).get("case") == CASE)
    lines[number] = json.dumps(json.loads(lines[number]) | {"values": {"params": [1]}})
    path.write_text("\n".join(lines) + "\n")
    return f"out/mine/{FILE}:{number + 1}"


COMMANDS = {
    ("table", "out/mine"): (0, "not run"),
    ("table", "out/mine", "--json"): (0, "eca"),
    ("overview", "out/mine"): (0, "eca"),
    ("history", "out"): (0, "eca"),
    ("compare", "sound/mine", "out/mine"): (1, "1 missing"),
    ("compare", "out/mine", "sound/mine"): (1, "1 missing"),
    ("accept", "sound/mine", "out/mine", "--reason", "why"): (0, ""),
    ("merge", "out/mine", "-o", "merged"): (0, ""),
    ("run", "mine.toml", "--out", "out", "--dry-run"): (0, "mine: 1 cost; 1 measured"),
}


@pytest.mark.parametrize("words", COMMANDS)
def test_each_command_goes_on_and_says_so_once(attnbench, place, words):
    done = attnbench(*words)
    assert (done.status, COMMANDS[words][1] in done.out) == (COMMANDS[words][0], True), done.out
    said = [line for line in done.err.splitlines() if "damaged" in line]
    assert said == [
        f"attnbench: {place}: damaged record is left out: values.params: input should be a valid "
        "integer"
    ]


def test_its_case_is_measured_again(attnbench, place, tmp_path, worker_here):
    done = attnbench("run", "mine.toml", "--out", "out")
    assert done.status == 0 and place in done.err and "[1/1]" in done.err
    done = attnbench("compare", "sound/mine", "out/mine")
    assert (done.status, done.err) == (0, "")


def test_a_named_case_whose_new_record_is_damaged_is_not_accepted(attnbench, place, tmp_path):
    before = (tmp_path / "sound" / "mine" / FILE).read_bytes()
    done = attnbench("accept", "sound/mine", "out/mine", CASE, "--reason", "why")
    assert done.status == 2
    assert f"CASE cannot be accepted: {place}: damaged record" in done.err
    assert (tmp_path / "sound" / "mine" / FILE).read_bytes() == before
