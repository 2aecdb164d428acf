"""Runs of records made up for a comparison."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from attnbench.records.format import Header, Record
from attnbench.records.store import FILE, Run
from attnbench.stats.timing_samples import AGAIN, TimingSamples

PLAIN = "latency/net/plain/onnxruntime"
ARM = "latency/net/se/after:1/onnxruntime"
COST = "cost/net/se/after:1"
SUITE = {"suite": {"name": "mine", "version": 1, "title": "Mine"}, "table": []}
MACHINE = {"system": "Linux", "processor": "EPYC", "cores": 2}
RUNTIME = {
    "title": "ONNX Runtime",
    "versions": {"torch": "2.14.1", "onnxruntime": "1.32.0"},
    "processor": "EPYC",
    "isa": "AVX512",
    "device": {"name": "cpu", "title": "EPYC"},
    "fallbacks": {},
    "notes": [],
}
PROVED = {"max_error": 1e-6, "tolerance": 1e-4, "peak_bytes": 6_422_528}
TRAINED = {
    "dataset": "digits",
    "synthetic": False,
    "images": [1437, 1000],
    "classes": 10,
    "recipe": {"name": "digits", "hash": "abc", "smoke": False},
    "device": "cpu",
    "weights": None,
}


def header(**changes):
    given = {
        "format": 3,
        "suite": SUITE,
        "suite_hash": "abc",
        "tables": [],
        "versions": {"torch": "2.14.1", "attnbench": "0.1.0"},
        "machine": MACHINE,
        "commit": "0123abcd",
    }
    return Header(**{**given, **changes})


def record(case=COST, **changes):
    """A record of the kind that its name begins with."""
    given = {"case": case, "kind": case.split("/")[0], "status": "ok", "hash": "1"}
    if given["kind"] == "cost":
        given |= {"conditions": {}, "values": {"params": 1000, "macs": 50_000}}
    elif given["kind"] == "latency":
        conditions = {
            "conditions": {"runtime": "onnxruntime", "precision": "fp32", "device": "cpu"}
        }
        given |= {"conditions": conditions, "values": PROVED, "runtime": RUNTIME}
    else:
        seed = int(case.rpartition("seed=")[2] or 0)
        conditions = {"training": {"dataset": "digits", "seed": seed}}
        given |= {"conditions": conditions, "values": {"top1": 90.0}, "training": TRAINED}
    return Record(**{**given, **changes})


def samples(rng, ratio=1.05, processes=3, rounds=30, noise=0.01, layout=0.005):
    """The rounds of some processes.

    Every call has noise of its own, every round the machine's speed at that moment, and every
    process three layouts in memory: of the plain network, of its copy and of the arm.
    """
    made = []
    for _ in range(processes):
        logs = noise * rng.standard_normal((3, rounds)) + layout * rng.standard_normal((3, 1))
        logs += 0.05 * np.cumsum(rng.standard_normal(rounds)) / np.sqrt(rounds)
        seconds = 0.02 * np.exp(logs) * np.array([[1.0], [1.0], [ratio]])
        rows = zip((PLAIN, AGAIN, ARM), map(tuple, seconds), strict=True)
        calls = dict.fromkeys((PLAIN, AGAIN, ARM), 1)
        made.append(TimingSamples(PLAIN, dict(rows), calls, 0.5, 2.0, "budget").to_json())
    return made


def run_of(*records, path="run/records.jsonl", **changes):
    head = header(**changes)
    named = {one.case: one for one in records}
    return Run(Path(path), [head], named, dict.fromkeys(named, head))


def write_run(folder, *lines):
    """Write headers and records; a dict is written as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = [one if isinstance(one, dict) else json.loads(one.model_dump_json()) for one in lines]
    path = folder / FILE
    path.write_text("".join(json.dumps(one) + "\n" for one in texts), encoding="utf-8")
    return path
