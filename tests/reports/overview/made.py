"""Runs made up for an overview: a suite's content, and a record for each of its cases."""

import numpy as np

from attnbench.stats.timing_samples import AGAIN, TimingSamples

RATIOS = {"se": 1.05, "cbam": 1.02, "bam": 1.2}
POINTS = {"se": 1.0, "cbam": -2.0, "bam": 0.5}
PLAIN_TOP1 = (90.0, 91.0, 92.0)
COSTS = {"params": 1000, "macs": 50_000, "activations": 10, "bytes": 4000}
TITLES = {"eager": "PyTorch eager", "onnxruntime": "ONNX Runtime"}


def suite(rows, **more):
    return {
        "suite": {"name": "small", "title": "A small suite"},
        **more,
        "table": [{"columns": ["params"], "row": rows}],
    }


def rows(backbone, modules, placement: str | list[str] = "after:14", **more):
    placed = {"backbone": backbone, "module": modules, "placement": placement, **more}
    return [{"backbone": backbone}, placed]


def recorded(case):
    fields = {"status": "ok", "reason": None, "slots": [], "counters": None}
    if case.kind == "cost":
        return {**fields, **counted(case)}
    return {**fields, **(timed(case) if case.kind == "latency" else trained(case))}


def counted(case):
    if case.module is None:
        return {"values": COSTS, "card": None}
    deltas = {f"delta_{key}": len(case.module) * value for key, value in COSTS.items()}
    key = f"k-{case.module}"
    card = {"family": "channel", "short": "A, B'20", "key": key, "bibtex": f"@misc{{{key}}}\n"}
    return {"values": {**COSTS, **deltas}, "card": card}


def timed(case):
    ratio = RATIOS.get(case.module, 1.0) - (0.01 if case.fused else 0.0)
    runtime = case.conditions.runtime
    return {
        "values": {"peak_bytes": 5 * 2**20},
        "samples": [samples(ratio, case.module is None, seed) for seed in range(3)],
        "runtime": {
            "title": TITLES.get(runtime, runtime),
            "versions": {"torch": "9.9"},
            "processor": "A Processor",
            "isa": "AVX512",
            "fallbacks": {},
        },
    }


def samples(ratio, plain, seed):
    drawn = np.random.default_rng(seed)
    factors = {"plain": 1.0, AGAIN: 1.0} | ({} if plain else {"arm": ratio})
    seconds = {
        name: tuple(0.01 * factor * np.exp(0.001 * drawn.standard_normal(60)))
        for name, factor in factors.items()
    }
    return TimingSamples("plain", seconds, dict.fromkeys(factors, 1), 0.1, 1.0, "budget").to_json()


def trained(case):
    # a spread of its own for each arm: without any there is no interval
    spread = (0.0, 0.01, -0.01)[case.training.seed] if case.module else 0.0
    top1 = PLAIN_TOP1[case.training.seed] + POINTS.get(case.module, 0.0) + spread
    return {
        "conditions": {"backbone": case.backbone},
        "values": {"top1": top1, "top5": None, "loss": 1.0, "steps": 9},
        "training": {
            "dataset": "digits",
            "synthetic": False,
            "images": [50_000, 10_000],
            "unreadable": [0, 0],
            "unreadable_names": [],
            "recipe": {"name": "digits", "smoke": False, "baseline": []},
            "training_s": 60.0,
        },
    }
