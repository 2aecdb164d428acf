"""The checklist of a CUDA device, without one: what it would measure, and what it prints."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

from attnbench.devices import Device
from attnbench.registry.plugins import catalog
from attnbench.reports.tables.case_results import read_latencies, read_timings
from attnbench.runner.latency_sessions import sessions
from attnbench.stats.timing_samples import AGAIN, TimingSamples
from attnbench.suites.load import find_suite, parse_suite
from attnbench.suites.plan import all_cases, plan


@pytest.fixture(scope="module")
def gpu():
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
        yield importlib.import_module("gpu")


def options(gpu, patched, *words):
    patched.setattr(sys, "argv", ["gpu.py", *words])
    return gpu.parsed()


@pytest.fixture
def cases(gpu, monkeypatch):
    content = gpu.checklist(options(gpu, monkeypatch), Device("cuda", 1))
    found = all_cases(plan(parse_suite(content, "of the checklist"), catalog()))
    return [case for case in found if case.kind == "latency"]


def test_the_checklist_has_every_precision_both_batches_and_graphs(gpu, cases):
    modes = {}
    for case in cases:
        on = case.conditions
        assert (on.device, on.runtime) == ("cuda:1", "eager")
        modes.setdefault((on.precision, on.batch, on.graph), []).append(case.module)
    arms = [None, *gpu.MODULES]
    assert modes == {
        ("fp32", 1, False): [None], ("tf32", 1, False): [None], ("bf16", 1, False): [None],
        ("fp16", 1, False): [None], ("fp32", 1, True): arms, ("fp32", 64, False): arms,
    }  # fmt: skip


def test_it_samples_for_a_small_part_of_six_minutes(gpu, cases, monkeypatch):
    found = sessions(cases)
    assert len(found) == 6
    assert len(found) * options(gpu, monkeypatch).budget <= 20


def test_its_modules_are_those_of_quick(gpu):
    rows = find_suite("quick", catalog()).table[0].row
    assert gpu.MODULES in [row.module for row in rows]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_it_ends_in_one_line(gpu, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    with pytest.raises(SystemExit) as ended:
        gpu.run(gpu.main)
    assert ended.value.code == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err == ("gpu.py: device is not on this machine: got cuda:0. Choose from cpu.\n")


def cell(case, **record):
    seconds = {"plain": (0.001,) * 40, AGAIN: (0.001,) * 40}
    if case.module:
        seconds["arm"] = (0.002,) * 40
    samples = TimingSamples("plain", seconds, dict.fromkeys(seconds, 1), 0.1, 1.0, "budget")
    kept = {"status": "ok", "values": {}, "samples": [samples.to_json()], **record}
    return case.name, kept


def read(cases, records):
    rows = read_latencies([[case] for case in cases], records, read_timings(records))
    return [one for (one,) in rows]


def test_what_it_prints(gpu, cases):
    values = {
        "fp32": {"max_error": 1e-5, "sqnr_db": 110.4, "top1_agreement": 1.0, "launch_share": 0.97},
        "bf16": {"max_error": None, "sqnr_db": None, "top1_agreement": 0.5},
        "tf32": {"max_error": 8e-4, "sqnr_db": 71.0, "top1_agreement": 1.0},
    }
    records = dict(
        cell(case, values={**values.get(case.conditions.precision, {}), "peak_bytes": 2**20})
        for case in cases
    )
    (missing,) = (case.name for case in cases if case.conditions.precision == "fp16")
    records[missing] = {"status": "failed", "reason": "no kernel", "values": {}}
    cells = read(cases, records)
    assert list(gpu.agreement_lines(cells)) == [
        "output beside fp32 eager on the processor",
        "  fp32   0.001% of its largest value, SQNR 110 dB, top-1 100%",
        "  tf32   0.08% of its largest value, SQNR 71 dB, top-1 100%",
        "  bf16   not finite, top-1 50%",
        "  fp16   failed: no kernel",
    ]
    assert [line.split()[:3] for line in gpu.floor_lines(cells)][1:] == [
        ["batch", "1", "0.00%"], ["batch", "1,", "CUDA"], ["batch", "64", "0.00%"],
    ]  # fmt: skip
    assert all("launching 97% of the time" in line for line in [*gpu.floor_lines(cells)][1:])
    lines = list(gpu.module_lines(cells))
    assert len(lines) == 14
    assert "se, batch 1, CUDA graph" in "".join(lines)
    assert all("2.00 ms, +100% " in line and "peak 1.00 MiB" in line for line in lines)


def test_a_ratio_is_one_of_two_loops_in_the_same_round(gpu):
    speeds = {"plain loop": [100.0, 200.0, 400.0], "attnbench": [300.0, 400.0, 400.0]}
    assert list(gpu.training_lines(speeds))[1:] == [
        "  plain loop             200 images/s",
        "  attnbench              400 images/s",
        "  attnbench / plain loop 2.00 x",
    ]
