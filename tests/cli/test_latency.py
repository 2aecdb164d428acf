"""``attnbench latency`` and latency in suites, as a user sees them: real networks, tiny budgets."""

import pytest

from attnbench.records.store import read_lines

NET = ("-b", "mobilenet_v1,width=0.25", "--size", "64")
SHORT = ("--budget", "0.1")
KEYS = {
    "ratio", "ratio_low", "ratio_high", "verdict", "floor", "median_ms", "p90_ms", "p99_ms",
    "min_ms", "baseline_median_ms", "pairs", "peak_bytes", "trust", "throughput",
}  # fmt: skip
SUITE = """
[suite]
name = "mine"
title = "Mine"
size = 64

[latency]
runtimes = ["eager"]
budget_s = 0.1
processes = 2

[[table]]
columns = ["label", "params", "macs"]
latency = {{ columns = ["overhead", "median", "floor"], rank = "eager" }}

[[table.row]]
backbone = "mobilenet_v1,width=0.25"

[[table.row]]
backbone = "mobilenet_v1,width=0.25"
module = [{modules}]
placement = "after:9"
"""
TROUBLE = """
import os
import time
import attnbench
from torch import nn

@attnbench.register("slow")
class Slow(nn.Module):
    def __init__(self, channels):
        super().__init__()
    def forward(self, x):
        time.sleep(0.05)
        return x * 2

@attnbench.register("looks")
class Looks(nn.Module):
    def __init__(self, channels):
        super().__init__()
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x * 3

@attnbench.register("crashes")
class Crashes(nn.Module):
    def __init__(self, channels):
        super().__init__()
    def forward(self, x):
        if x.device.type != "meta" and x.shape[0] == 1 and not self.training:
            os.abort()
        return x * 2
"""


def plugin(folder):
    (folder / "trouble.py").write_text(TROUBLE)
    return "--plugin", "trouble.py"


def suite(folder, *modules):
    quoted = ", ".join(f'"{name}"' for name in modules)
    (folder / "mine.toml").write_text(SUITE.format(modules=quoted))
    return "mine.toml"


def records(folder):
    lines = [line for _, _, line in read_lines(folder / "out/mine/records.jsonl")]
    return {line["case"]: line for line in lines if "case" in line}


@pytest.mark.usefixtures("worker_here")
def test_one_arm_is_the_object_itself(attnbench):
    done = attnbench("latency", *NET, "-m", "se", "-p", "after:9", *SHORT, "--json")
    assert done.status == 0, done.err
    arm = done.json
    assert arm["sites"] == 1
    assert (arm["backbone"], arm["module"], arm["form"]) == (
        "mobilenet_v1,width=0.25",
        "se",
        "plain",
    )
    found = arm["runtimes"]["eager"]
    assert found.keys() >= KEYS
    assert found["ratio_low"] <= found["ratio"] <= found["ratio_high"]
    assert found["min_ms"] <= found["median_ms"] <= found["p90_ms"] <= found["p99_ms"]
    assert found["pairs"] >= 5
    assert found["peak_bytes"] > 64 * 64 * 3 * 4
    assert found["throughput"] == pytest.approx(1000 / found["median_ms"])


@pytest.mark.usefixtures("worker_here")
def test_the_ratio_is_the_modules_time_over_the_plain_networks(attnbench, tmp_path):
    done = attnbench(
        "latency", *NET, "-m", "slow", "-p", "after:5", *plugin(tmp_path), "--json", *SHORT
    )
    found = done.json["runtimes"]["eager"]
    assert found["min_ms"] > 50  # it sleeps for as long
    assert found["ratio"] > 1


@pytest.mark.usefixtures("worker_here", "operators_translated_once")
def test_several_arms_and_runtimes_share_a_list_and_a_failure_costs_only_itself(
    attnbench, tmp_path
):
    alone = ("--channels", 16, "--size", 7)
    done = attnbench("latency", *alone, "-m", "se", "-m", "looks", *plugin(tmp_path),
                     "--runtime", "eager,onnxruntime", *SHORT, "--json")  # fmt: skip
    assert done.status == 1  # a case failed
    se, looks = done.json["arms"]
    assert se["runtimes"]["eager"]["status"] == se["runtimes"]["onnxruntime"]["status"] == "ok"
    assert se["runtimes"]["onnxruntime"]["export_s"] > 0
    assert looks["runtimes"]["eager"]["status"] == "ok"
    failed = looks["runtimes"]["onnxruntime"]
    assert failed["status"] == "failed"
    assert "data-dependent" in failed["reason"].lower()
    assert "\n" not in failed["reason"]


def test_a_crash_is_a_failure_of_that_arm(attnbench, tmp_path):
    done = attnbench("latency", *NET, "-m", "crashes", "-m", "se", "-p", "after:9",
                     *plugin(tmp_path), *SHORT, "--json")  # fmt: skip
    assert done.status == 1
    crashes, se = (arm["runtimes"]["eager"] for arm in done.json["arms"])
    assert "SIGABRT" in crashes["reason"]
    assert se["status"] == "ok"


@pytest.mark.usefixtures("worker_here")
def test_text_shows_the_plain_network_fused_forms_and_one_process(attnbench):
    done = attnbench("latency", *NET, "-m", "ulsam", "-p", "after:9", "--fused", *SHORT)
    assert done.status == 0, done.err
    for text in ("plain", "ulsam, fused", "A/A", "PyTorch eager", "1 thread", "one process"):
        assert text in done.out


@pytest.mark.usefixtures("worker_here")
def test_a_module_alone_is_compared_with_one_pass_over_its_map(attnbench):
    done = attnbench("latency", "-m", "cbam", "--channels", "32", "--size", "7", *SHORT, "--json")
    assert done.json["baseline"] == "one pass over the map"
    assert done.json["runtimes"]["eager"]["ratio"] > 1


@pytest.mark.usefixtures("worker_here")
def test_reduced_precision_reports_noise_instead_of_equality(attnbench):
    done = attnbench("latency", *NET, "-m", "se", "-p", "after:9", "--precision", "fp32,bf16",
                     *SHORT, "--json")  # fmt: skip
    assert done.status == 0, done.err
    found = done.json["runtimes"]
    assert set(found) == {"eager", "eager,precision=bf16"}
    assert 0 <= found["eager,precision=bf16"]["top1_agreement"] <= 1
    assert 5 < found["eager,precision=bf16"]["sqnr_db"] < 80


@pytest.mark.usefixtures("worker_here")
def test_what_a_runtime_does_not_offer_is_skipped_with_the_reason(attnbench):
    done = attnbench("latency", *NET, "--precision", "fp32,int8", *SHORT, "--json")
    assert done.status == 0
    assert done.json["runtimes"]["eager,precision=int8"]["status"] == "skipped"
    assert "fp32, bf16" in done.json["runtimes"]["eager,precision=int8"]["reason"]
    assert done.json["runtimes"]["eager"]["status"] == "ok"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--runtime", "onxruntime"), "'onnxruntime'"),
        (("--runtime", ","), "--runtime"),
        (("--precision", "fp8"), "Known: bf16, fp16, fp32, int8, tf32"),
        (("--precision", "int8"), "fp32, bf16, fp16"),
        (("--precision", "tf32"), "fp32, bf16, fp16"),
        (("--device", "cuda"), "cuda:0"),
        (("--device", "gpu"), "'gpu'"),
        (("--budget", "0"), "--budget"),
        (("--budget", "nan"), "nan"),
        (("--batch", "0"), "--batch"),
        (("--threads", "0"), "--threads"),
    ],
)
def test_mistakes_end_in_one_line(attnbench, words, text):
    done = attnbench("latency", *NET, *words)
    assert done.status == 2
    assert text in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


def test_a_suite_with_latency_resumes_and_adds(attnbench, tmp_path, request):
    first = attnbench("run", suite(tmp_path, "se"), "--out", "out")
    assert first.status == 0, first.err
    found = records(tmp_path)
    assert [line["kind"] for line in found.values()] == ["cost", "cost", "latency", "latency"]
    timed = found["latency/mobilenet_v1,width=0.25/se/after:9/64x64/eager"]
    assert len(timed["samples"]) == 2  # one for each process
    assert timed["runtime"]["title"] == "PyTorch eager"
    table = (tmp_path / "out/mine/table.md").read_text()
    assert "PyTorch eager (torch " in table
    assert "2 fresh processes" in table
    before = (tmp_path / "out/mine/records.jsonl").read_bytes()
    again = attnbench("run", "mine.toml", "--out", "out")
    assert "0 of 4 cases to measure" in again.err
    assert (tmp_path / "out/mine/records.jsonl").read_bytes() == before
    request.getfixturevalue("worker_here")  # the processes are seen above
    more = attnbench("run", "mine.toml", "--out", "out", "--add", "cbam", "--only", "latency")
    assert "1 of 3 cases to measure, 2 already measured" in more.err
    assert more.status == 0, more.err


@pytest.mark.usefixtures("worker_here")
def test_costs_alone_can_be_asked_for(attnbench, tmp_path):
    done = attnbench("run", suite(tmp_path, "se"), "--out", "out", "--only", "cost")
    assert done.status == 0, done.err
    assert {line["kind"] for line in records(tmp_path).values()} == {"cost"}
    assert "not run" in (tmp_path / "out/mine/table.md").read_text()


@pytest.mark.usefixtures("worker_here")
def test_a_runtime_that_is_not_installed_is_skipped_in_a_suite(attnbench, tmp_path, monkeypatch):
    from attnbench.runtimes.registry import runtime

    monkeypatch.setattr(type(runtime("eager")), "missing", lambda self: "eager: pip install it")
    done = attnbench("run", suite(tmp_path, "se"), "--out", "out")
    assert done.status == 0, done.err
    timed = [line for line in records(tmp_path).values() if line["kind"] == "latency"]
    assert {(line["status"], line["reason"]) for line in timed} == {
        ("skipped", "eager: pip install it")
    }
    assert "skipped" in (tmp_path / "out/mine/table.md").read_text()
