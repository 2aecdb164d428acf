"""``attnbench history`` as a user calls it."""

import json

import pytest

from attnbench.records.format import FORMAT, Header, Record
from attnbench.records.store import FILE, RunWriter

CASE = "cost/mobilenet_v2/se/after:14"


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Four runs in ``runs/``; the parameters change with the third."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    for at, params in enumerate([10, 10, 12, 12]):
        with RunWriter(tmp_path / f"runs/r{at}/mine") as writer:
            writer.append(
                Header(
                    format=FORMAT,
                    suite={"suite": {"name": "mine"}},
                    suite_hash="",
                    tables=[],
                    versions={},
                    machine={},
                )
            )
            values = {"params": params, "macs": 5}
            facts = {"kind": "cost", "status": "ok", "hash": "1", "conditions": {}}
            writer.append(Record(case=CASE, values=values, **facts))
    return tmp_path / "runs"


def test_text_and_the_other_forms(attnbench, runs):
    done = attnbench("history", "runs")
    assert done.status == 0
    assert "params" in done.out and "r2/mine" in done.out and "+2" in done.out
    assert "folder name" in done.err
    for form in ("md", "csv", "json"):
        done = attnbench("history", "runs", "--format", form)
        assert done.status == 0 and "params" in done.out, form


def test_json_alone_on_stdout_with_picture_and_export(attnbench, runs, tmp_path):
    done = attnbench(
        *("history", "runs", "--case", "cost/*", "--metric", "params", "--json"),
        *("-o", "h.svg", "--export", "e.json"),
    )
    (series,) = done.json["series"]
    assert [(one["run"], one["before"], one["after"]) for one in series["changes"]] == [(2, 10, 12)]
    assert "<svg" in (tmp_path / "h.svg").read_text()
    assert json.loads((tmp_path / "e.json").read_text())[0]["value"] == 12
    assert "wrote h.svg" in done.err


def test_a_damaged_run_is_said_and_the_others_are_shown(attnbench, runs):
    (runs / "r1/mine" / FILE).write_text("{}\n[]\n")
    done = attnbench("history", "runs", "--json")
    assert done.status == 0 and len(done.json["runs"]) == 3
    assert "runs/r1/mine/records.jsonl:1" in done.err


MISTAKES = {
    "no such folder": (("rums",), "'runs'"),
    "no run there": (("empty",), "empty/COMMIT"),
    "glob of nothing": (
        ("runs", "--case", "cost/mobilenet_v2/se/after:41"),
        "'cost/mobilenet_v2/se/after:14'",
    ),
    "unknown metric": (("runs", "--metric", "parms"), "'params'"),
    "unknown format": (("runs", "--format", "tex"), "csv, json, md, text"),
    "json and md": (("runs", "--json", "--format", "md"), "--format: got 'md'"),
    "picture of no kind": (("runs", "-o", "h.gif"), ".svg"),
}


@pytest.mark.parametrize("words, said", MISTAKES.values(), ids=MISTAKES)
def test_mistakes(attnbench, runs, tmp_path, words, said):
    (tmp_path / "empty").mkdir()
    done = attnbench("history", *words)
    assert done.status == 2 and done.out == ""
    assert said in done.err and "Traceback" not in done.err
    assert len([line for line in done.err.splitlines() if line.startswith("attnbench: ")]) <= 2
