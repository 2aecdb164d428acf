"""Runs as a user sees them: resume, kills, failures, shards, added modules."""

import json
import os
import random
import signal
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from attnbench.registry.plugins import Catalog, catalog

SUITE = """
[suite]
name = "mine"
title = "Mine"
size = 64
limit_s = {limit}

[[table]]
title = "All"
columns = ["label", "placement", "params", "macs", "delta_macs"]

[[table.row]]
backbone = "mobilenet_v2,width=0.35"

[[table.row]]
backbone = "mobilenet_v2,width=0.35"
module = [{modules}]
placement = ["after:5", "after:9", "replace:9"]
"""
TROUBLE = """
import os, time
import attnbench
from torch import nn

class Base(nn.Module):
    def __init__(self, channels):
        super().__init__()

@attnbench.register("crashes")
class Crashes(Base):
    def forward(self, x):
        os.abort()

@attnbench.register("hangs")
class Hangs(Base):
    def forward(self, x):
        time.sleep(1000)

@attnbench.register("raises")
class Raises(Base):
    def forward(self, x):
        raise RuntimeError("no such luck")

@attnbench.register("fine")
class Fine(Base):
    def forward(self, x):
        return x * 2
"""


def suite(folder, modules=("se", "cbam", "ulsam", "bam"), limit=60):
    quoted = ", ".join(f'"{name}"' for name in modules)
    (folder / "mine.toml").write_text(SUITE.format(modules=quoted, limit=limit))
    return "mine.toml"


def tables(folder):
    return {path.name: path.read_bytes() for path in folder.glob("table.*")}


def records(folder):
    return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]


@pytest.mark.usefixtures("worker_here")
def test_a_second_run_measures_nothing_and_changes_nothing(attnbench, tmp_path):
    first = attnbench("run", suite(tmp_path), "--out", "out")
    assert first.status == 0, first.err
    before = (tmp_path / "out/mine/records.jsonl").read_bytes(), tables(tmp_path / "out/mine")
    assert set(before[1]) == {"table.md", "table.csv", "table.tex", "table.html", "table.bib"}
    second = attnbench("run", "mine.toml", "--out", "out")
    assert "0 of 13 cases to measure, 13 already measured" in second.err
    after = (tmp_path / "out/mine/records.jsonl").read_bytes(), tables(tmp_path / "out/mine")
    assert after == before


@pytest.mark.usefixtures("worker_here")
def test_new_texts_of_a_card_are_written_without_counting_again(attnbench, tmp_path, monkeypatch):
    attnbench("run", suite(tmp_path, ["se", "cbam"]), "--out", "out")
    before = records(tmp_path / "out/mine")
    module = catalog().modules.get("se")
    monkeypatch.setattr(module, "card", replace(module.card, title="Another title"))
    again = attnbench("run", "mine.toml", "--out", "out")
    assert "0 of 7 cases to measure, 7 already measured" in again.err
    added = records(tmp_path / "out/mine")[len(before) :]
    assert "format" in added[0]
    known = {record["case"]: record for record in before[1:]}
    expected = [record for record in known.values() if "/se/" in record["case"]]
    assert len(expected) == 3
    for record in expected:
        record["card"]["title"] = "Another title"
    assert added[1:] == expected
    attnbench("run", "mine.toml", "--out", "out")
    assert len(records(tmp_path / "out/mine")) == len(before) + len(added)


@pytest.mark.usefixtures("worker_here")
def test_a_changed_suite_measures_only_what_is_new(attnbench, tmp_path):
    attnbench("run", suite(tmp_path, ["se"]), "--out", "out")
    done = attnbench("run", suite(tmp_path, ["se", "cbam"]), "--out", "out")
    assert "3 of 7 cases to measure, 4 already measured" in done.err
    again = attnbench("run", "mine.toml", "--out", "out", "--fresh")
    assert "7 of 7 cases to measure" in again.err


GPU = """
[[table]]
title = "on a GPU"
columns = ["label"]
latency = { device = "cuda:7", graph = true, runtimes = ["eager"], precisions = ["fp32", "tf32"] }
[[table.row]]
backbone = "mobilenet_v1,width=0.25"
module = ["se", "cbam"]
placement = "after:9"
"""


@pytest.mark.usefixtures("worker_here")
def test_a_gpu_that_is_missing_is_skipped_rows_and_no_end_of_the_run(attnbench, tmp_path):
    """Also on a machine with fewer GPUs than eight."""
    name = suite(tmp_path, ["se"])
    with (tmp_path / name).open("a") as file:
        file.write(GPU)
    listed = attnbench("run", name, "--out", "out", "--dry-run", "-v").out.splitlines()
    on_gpu = [line for line in listed if "device=cuda:7" in line]
    assert len(on_gpu) == 4 and all(line.startswith("mine\tskipped\t") for line in on_gpu)
    done = attnbench("run", name, "--out", "out")
    assert done.status == 0, done.err
    kept = [one for one in records(tmp_path / "out/mine") if "device=cuda:7" in one.get("case", "")]
    assert [one["status"] for one in kept] == ["skipped"] * 4
    assert {one["reason"].partition(". ")[0] for one in kept} == {
        "device is not on this machine: got cuda:7"
    }
    table = (tmp_path / "out/mine/table.md").read_text()
    assert table.count("| skipped") == 4 * 2  # overhead and median
    assert "eager,device=cuda:7,graph=true: skipped: device is not on this machine" in table
    again = attnbench("run", name, "--out", "out")
    assert "0 of " in again.err and again.status == 0


def test_all_shipped_suites_whatever_the_project_has(attnbench, tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[tool.attnbench]\nsuites = ["quick"]\n')
    monkeypatch.setattr(Catalog, "shipped_suites", lambda self: ["ulsam-table1"])
    listed = attnbench("run", "--all-shipped", "--dry-run", "-v").out.splitlines()
    assert len(listed) == 6
    assert all(line.startswith("ulsam-table1\tto measure\tcost/alone/") for line in listed)


def test_all_shipped_suites_and_a_name_exclude_each_other(attnbench):
    refused = attnbench("run", "quick", "--all-shipped", "--dry-run")
    assert refused.status == 2
    assert "--all-shipped takes no suites: got 'quick'. Leave out one" in refused.err


def test_a_case_that_crashes_hangs_or_raises_fails_alone(attnbench, tmp_path):
    (tmp_path / "trouble.py").write_text(TROUBLE)
    names = ["fine", "crashes", "se", "hangs", "raises", "cbam"]
    done = attnbench("run", suite(tmp_path, names, limit=3), "--plugin", "trouble.py", "--case",
                     "*/after:5/*", "--out", "out")  # fmt: skip
    assert done.status == 1
    status = {
        line["conditions"]["module"]: (line["status"], line["reason"])
        for line in records(tmp_path / "out/mine")
        if "case" in line
    }
    assert {name for name, (word, _) in status.items() if word == "ok"} == {"fine", "se", "cbam"}
    assert "SIGABRT" in status["crashes"][1]
    assert "did not finish within 3 s" in status["hangs"][1]
    assert "no such luck" in status["raises"][1]
    table = (tmp_path / "out/mine/table.md").read_text()
    assert "failed" in table and "SIGABRT" in table


@pytest.mark.usefixtures("worker_here")
def test_a_case_that_needs_a_missing_extra_is_skipped(attnbench, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    text = (tmp_path / suite(tmp_path, ["se"])).read_text()
    text = text.replace('"mobilenet_v2,width=0.35"', '"timm:mobilenetv2_050"', 1)
    (tmp_path / "mine.toml").write_text(text)
    done = attnbench("run", "mine.toml", "--out", "out")
    assert done.status == 0, done.err
    (skipped,) = [
        line for line in records(tmp_path / "out/mine") if line.get("status") == "skipped"
    ]
    assert "pip install 'attnbench[timm]'" in skipped["reason"]
    assert "skipped" in (tmp_path / "out/mine/table.md").read_text()
    before = (tmp_path / "out/mine/records.jsonl").read_bytes()
    attnbench("run", "mine.toml", "--out", "out")
    assert (tmp_path / "out/mine/records.jsonl").read_bytes() == before


@pytest.mark.usefixtures("worker_here")
def test_a_module_that_needs_a_missing_extra_is_skipped(attnbench, tmp_path, monkeypatch):
    from attnbench_modules import timm_layers

    timm_layers._factory.cache_clear()
    catalog().attentions.clear()
    monkeypatch.setitem(sys.modules, "timm.layers", None)
    suite(tmp_path, ["se", "timm:se,rd_ratio=0.25"])
    done = attnbench("run", "mine.toml", "--out", "out")
    assert done.status == 0, done.err
    found = {
        line["conditions"]["module"]: line
        for line in records(tmp_path / "out/mine")
        if "case" in line
    }
    assert found["se"]["status"] == "ok"
    assert found["timm:se,rd_ratio=0.25"]["status"] == "skipped"
    assert "pip install 'attnbench[timm]'" in found["timm:se,rd_ratio=0.25"]["reason"]


@pytest.mark.usefixtures("worker_here")
def test_an_added_module_is_a_row_of_every_place(attnbench, tmp_path):
    (tmp_path / "trouble.py").write_text(TROUBLE)
    done = attnbench("run", suite(tmp_path, ["se"]), "--plugin", "trouble.py", "--add", "fine",
                     "--add", "se,reduction=4", "--out", "out")  # fmt: skip
    assert done.status == 0, done.err
    table = (tmp_path / "out/mine/table.md").read_text()
    assert table.count("+ fine") == 3
    assert table.count("+ se,reduction=4") == 3


@pytest.mark.usefixtures("worker_here")
def test_an_added_module_in_table_1(attnbench, tmp_path):
    (tmp_path / "trouble.py").write_text(TROUBLE)
    done = attnbench("run", "ulsam-table1", "--add", "trouble.py:Fine", "--out", "out")
    assert done.status == 0, done.err
    assert "trouble.py:Fine" in (tmp_path / "out/ulsam-table1/table.md").read_text()


def test_dry_run_measures_nothing(attnbench, tmp_path):
    done = attnbench("run", suite(tmp_path), "--dry-run", "--out", "out")
    assert done.out == "mine: 13 costs\n"
    listed = attnbench("run", "mine.toml", "--dry-run", "-v", "--out", "out")
    assert listed.out.count("mine\tto measure\tcost/") == 13
    assert listed.err == "mine: 13 costs\n"
    assert not (tmp_path / "out").exists()


def test_dry_run_counts_by_kind_and_time(attnbench):
    assert attnbench("run", "quick", "--dry-run").out == (
        "quick: 24 costs · 48 latencies at least 54 s · 24 trainings\n"
    )


@pytest.mark.usefixtures("worker_here")
def test_shards_merge_to_the_undivided_run(attnbench, tmp_path):
    attnbench("run", suite(tmp_path), "--out", "whole")
    for number in (1, 2, 3):
        done = attnbench("run", "mine.toml", "--shard", f"{number}/3", "--out", f"part{number}")
        assert done.status == 0
    done = attnbench("merge", "part1/mine", "part2/mine", "part3/mine/records.jsonl", "-o", "all")
    assert done.status == 0, done.err
    assert tables(tmp_path / "all") == tables(tmp_path / "whole/mine")


@pytest.mark.usefixtures("worker_here")
def test_the_table_of_a_run_needs_no_plugin(attnbench, tmp_path):
    (tmp_path / "trouble.py").write_text(TROUBLE)
    attnbench("run", suite(tmp_path, ["fine"]), "--plugin", "trouble.py", "--out", "out")
    catalog().files.clear()
    (tmp_path / "trouble.py").unlink()
    for form in ("text", "md", "csv", "tex", "html", "json"):
        done = attnbench("table", "mine", "--out", "out", "--format", form)
        assert done.status == 0 and "fine" in done.out, form
    assert (
        attnbench("table", "out/mine", "--format", "md").out
        == (tmp_path / "out/mine/table.md").read_text()
    )


@pytest.fixture
def start(fork_server, tmp_path):
    """Start ``attnbench run``; what it says goes into the file ``err``."""
    with (tmp_path / "err").open("w") as errors:
        yield lambda *words: fork_server.attnbench("run", *words, stderr=errors, cwd=tmp_path)


@pytest.mark.usefixtures("worker_here")
def test_killed_at_any_instant_and_run_again_gives_the_same_tables(attnbench, start, tmp_path):
    suite(tmp_path)
    assert attnbench("run", "mine.toml", "--out", "calm").status == 0
    draw = random.Random(20)
    kills = 0
    for _ in range(4):
        if kills == 2:
            break
        path = tmp_path / "wild/mine/records.jsonl"
        grown = path.stat().st_size if path.exists() else 0
        with start("mine.toml", "--out", "wild") as process:
            # wait until it writes, then strike a moment later: most cases take a few milliseconds
            while process.poll() is None and (not path.exists() or path.stat().st_size == grown):
                time.sleep(0.001)
            time.sleep(draw.uniform(0, 0.03))
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
    assert kills >= 2
    assert attnbench("run", "mine.toml", "--out", "wild").status == 0
    assert tables(tmp_path / "wild/mine") == tables(tmp_path / "calm/mine")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_is_measured(start, tmp_path, number):
    (tmp_path / "trouble.py").write_text(TROUBLE)
    suite(tmp_path, ["se", "hangs"])
    path = tmp_path / "out/mine/records.jsonl"
    deadline = time.monotonic() + 60
    with start("mine.toml", "--plugin", "trouble.py", "--out", "out") as process:
        while time.monotonic() < deadline and not (
            path.exists() and path.read_bytes().count(b"\n") > 4
        ):
            time.sleep(0.05)
        os.kill(process.pid, number)
        assert process.wait(timeout=30) == 130
    err = (tmp_path / "err").read_text()
    assert "Traceback" not in err
    assert "goes on from there" in err
    assert sum("case" in line for line in records(tmp_path / "out/mine")) == 4


@pytest.mark.usefixtures("worker_here")
def test_a_run_says_when_it_was_and_history_reads_it(attnbench, tmp_path):
    before = datetime.now(UTC).replace(microsecond=0)
    attnbench("run", suite(tmp_path, ["se"]), "--case", "*/plain*", "--out", "runs/first")
    (header, *_) = records(tmp_path / "runs/first/mine")
    assert before <= datetime.fromisoformat(header["date"]) <= datetime.now(UTC)
    document = attnbench("history", "runs", "--json").json
    assert [one["date"] for one in document["runs"]] == [header["date"]]
    assert {one["metric"] for one in document["series"]} >= {"params", "macs", "bytes"}
