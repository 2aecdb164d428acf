"""Runs of commits with made-up values."""

import math

import numpy as np
import pytest

from attnbench.records.format import FORMAT, Header, Record
from attnbench.records.store import FILE, RunWriter
from attnbench.stats.timing_samples import AGAIN

SE = "mobilenet_v2/se/after:14"
MACHINE = {"system": "Linux x86_64", "processor": "AMD EPYC", "cores": 2}


def header(suite="mine", **changes):
    given = {
        "format": FORMAT,
        "suite": {"suite": {"name": suite}},
        "suite_hash": "abc",
        "tables": [],
        "versions": {"python": "3.11.7", "torch": "2.14.1", "attnbench": "0.1.0"},
        "machine": MACHINE,
    }
    return Header(**{**given, **changes})


def cost(params, case=f"cost/{SE}", **changes):
    given = {"case": case, "kind": "cost", "status": "ok", "hash": "1", "conditions": {}}
    return Record(**{**given, "values": {"params": params, "macs": 1000}, **changes})


def latency(ratio, seed=0, case=f"latency/{SE}/eager", noise=0.006, **changes):
    """A case whose processes each see a ratio of their own, and rounds with noise around that."""
    draw = np.random.default_rng(seed)
    conditions = {"module": "se", "conditions": {"runtime": "eager", "batch": 1}}
    given = {
        "case": case,
        "kind": "latency",
        "status": "ok",
        "hash": "1",
        "conditions": conditions,
        "values": {"peak_bytes": 5000},
        "samples": [process(draw, math.log(ratio) + noise * draw.normal()) for _ in range(3)],
        "runtime": {
            "title": "eager",
            "versions": {"torch": "2.14.1"},
            "isa": "AVX2",
            "fallbacks": {},
        },
    }
    return Record(**{**given, **changes})


def process(draw, shift, rounds=12):
    drift = 0.1 * draw.normal(size=rounds)
    arms = {"plain": 0.0, AGAIN: 0.0, "arm": shift}
    seconds = {
        arm: np.exp(drift + level + 0.005 * draw.normal(size=rounds)).tolist()
        for arm, level in arms.items()
    }
    facts = {
        "warmup_s": 0.1,
        "sampling_s": 1.0,
        "stopped": "rounds",
        "dropped": 0,
        "conditions": {},
    }
    return {"baseline": "plain", "seconds": seconds, "calls": dict.fromkeys(arms, 1), **facts}


def accuracies(own, plain, **changes):
    """Records of an arm and the plain backbone, one for each seed."""
    found = []
    for module, values in (("se", own), (None, plain)):
        for seed, top1 in enumerate(values):
            conditions = {
                "backbone": "mobilenet_v2",
                "module": module,
                "placement": "after:14" if module else None,
                "fused": False,
                "training": {"dataset": "digits", "seed": seed},
            }
            name = SE if module else "mobilenet_v2/plain"
            found.append(
                Record(
                    case=f"accuracy/{name}/digits/digits,seed={seed}",
                    kind="accuracy",
                    status="ok",
                    hash="1",
                    conditions=conditions,
                    values={"top1": top1},
                    training={"images": [100, 1000], "recipe": {"hash": "r"}, "device": "cpu"},
                    **changes,
                )
            )
    return found


@pytest.fixture
def keep(tmp_path):
    """Write a run: ``keep("name", record, ..., commit=...)`` below ``tmp_path / "runs"``."""

    def write(name, *records, suite="mine", **changes):
        with RunWriter(tmp_path / "runs" / name / suite) as writer:
            writer.append(header(suite, **changes))
            for record in records:
                writer.append(record)
        return tmp_path / "runs" / name / suite / FILE

    return write
