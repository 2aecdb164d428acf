"""Timing: how far each tool is from the truth, where the truth is known; all in one run.

    python benchmarks/timing.py [--tries 100] [--only recorded|simulated|aa|power] [--smoke]

A/A: MobileNetV2 against a deep copy of itself, batch 1, one thread; the ratio is 1. Every tool has
about 2 seconds (``--budget``) for a comparison, and a fresh copy each time. The tools take turns in
random order, so that all of them see the same weather. A wrong verdict is a difference that is
claimed: by ours in words, by the others when their own samples differ in the median and
Mann-Whitney's test says so at 5%, and by 1% or more.

Power: 103 pieces of work against 100 of the same, 10 seconds (``--power-budget``) at most, and 101
against 100 in twice the time; the ratios are 1.03 and 1.01 by construction. Counted are the tries
called slower, and the intervals that hold the truth.

Recorded: the intervals of the committed records of a run (``--records``), beside those of the
former rule (``interval_rules/extrapolated.py``), and the errors of estimates on its A/A rounds.
Simulated: the coverage of both rules in sessions of 5 to 20 rounds, correlated by up to 0.8, by
``--rows`` rows of each kind. Neither times anything.
"""

from __future__ import annotations

import copy
import inspect
import json
import logging
import random
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from command_line import NOWHERE, Parser, count, file, run, seconds
from interval_rules.recorded import errors, read_samples, widths
from interval_rules.simulated import Coverage, coverages
from pytest_benchmark.fixture import BenchmarkFixture
from scipy import stats
from torch import nn
from torch.utils.benchmark import Timer

from attnbench.latency import compare
from attnbench.models.backbones import create_backbone
from attnbench.timing.isolation import keep_heap

Call = Callable[[], object]

CLAIM = 0.01
RECORDS = Path(__file__).parents[1] / "results" / "mobilenet-latency"


@dataclass(frozen=True)
class Try:
    """One comparison."""

    ratio: float
    low: float | None
    high: float | None
    claimed: bool
    seconds: float


def main() -> None:
    """Print all experiments."""
    smoke = {"tries": 1, "size": 32, "budget": 0.1, "power_budget": 0.1, "rows": 1, "most": 20}
    parser = Parser(__doc__, **smoke, json=NOWHERE)
    parser.add_argument("--tries", type=count, default=100)
    parser.add_argument("--only", choices=["aa", "power", "recorded", "simulated"])
    parser.add_argument("--size", type=count, default=224, help="side of MobileNetV2's image")
    parser.add_argument("--budget", type=seconds, default=2.0, help="seconds of an A/A comparison")
    parser.add_argument("--power-budget", type=seconds, default=10.0, help="seconds at most")
    parser.add_argument("--records", type=Path, default=RECORDS, help="folder of a committed run")
    parser.add_argument("--most", type=count, help="number of its records")
    parser.add_argument("--rows", type=count, default=1000, help="simulated rows of each kind")
    parser.add_argument("--json", type=file)
    options = parser.read()
    wanted = [options.only] if options.only else ["recorded", "simulated", "aa", "power"]
    if "recorded" in wanted:
        show_recorded(options.records, options.most)
    if "simulated" in wanted:
        show_simulated(list(coverages(options.rows)))
    results = timed(options, wanted)
    if options.json:
        plain = {
            kind: {tool: [asdict(one) for one in tries] for tool, tries in by_tool.items()}
            for kind, by_tool in results.items()
        }
        options.json.write_text(json.dumps(plain, indent=1))


def timed(options: Namespace, wanted: Sequence[str]) -> dict[str, dict[str, list[Try]]]:
    """Return the tries of the experiments that time something, and print them."""
    torch.set_num_threads(1)
    keep_heap()
    results: dict[str, dict[str, list[Try]]] = {}
    with torch.inference_mode():
        if "aa" in wanted:
            results["aa"] = same_model(options.tries, options.size, options.budget)
            show_same(results["aa"])
        if "power" in wanted:
            for pieces, budget_s in ((103, options.power_budget), (101, 2 * options.power_budget)):
                tries = slower_work(pieces, options.tries, budget_s)
                results[f"power {pieces}"] = {"attnbench": tries}
                show_power(pieces, tries)
    return results


def same_model(tries: int, size: int, budget_s: float) -> dict[str, list[Try]]:
    """Time the model against its copy with every tool in turn."""
    model = create_backbone("mobilenet_v2").eval()
    example = torch.randn(1, 3, size, size)
    results: dict[str, list[Try]] = {tool: [] for tool in TOOLS}
    for _ in range(tries):
        for tool in random.sample(list(TOOLS), len(TOOLS)):
            first, second, again = (caller(model, example) for _ in range(3))
            start = time.perf_counter()
            found = TOOLS[tool](first, second, again, budget_s)
            results[tool].append(Try(*found, seconds=time.perf_counter() - start))
    return results


def caller(model: nn.Module, example: torch.Tensor) -> Call:
    """Return a copy of the model, bound to a copy of its input."""
    own, data = copy.deepcopy(model), example.clone()
    return lambda: own(data)


Found = tuple[float, float | None, float | None, bool]


def ours(first: Call, second: Call, again: Call, budget_s: float) -> Found:
    """Interleaved, paired, with the A/A arm inside the same seconds."""
    found = compare(
        {"model": first, "copy": second},
        baseline="model",
        budget_s=budget_s,
        again=again,
        threads=1,
    )["copy"]
    claimed = found.verdict in ("slower", "faster")
    return found.ratio, found.ratio_low, found.ratio_high, claimed


def torch_timer(first: Call, second: Call, again: Call, budget_s: float) -> Found:
    """``Timer.blocked_autorange``, one arm after the other; its median."""
    taken = []
    for call in (first, second):
        timer = Timer("call()", globals={"call": call}, num_threads=1)
        taken.append(timer.blocked_autorange(min_run_time=budget_s / 2).times)
    return unpaired(*taken, np.median)


def pytest_benchmark(first: Call, second: Call, again: Call, budget_s: float) -> Found:
    """Its own fixture: calibrated rounds, one arm after the other; its median."""
    taken = []
    for call in (first, second):
        fixture = pytest_fixture(budget_s / 2)
        fixture(call)
        taken.append(fixture.stats.stats.data)
    return unpaired(*taken, np.median)


def timm_way(first: Call, second: Call, again: Call, budget_s: float) -> Found:
    """As timm's benchmark.py: 10 steps to warm up, then the mean of steps in a row.

    It takes 40 steps; here as many as fill the half of the budget that the others have, too.
    """
    taken = []
    for call in (first, second):
        for _ in range(10):
            call()
        steps, start = [], time.perf_counter()
        while time.perf_counter() - start < budget_s / 2:
            begun = time.perf_counter()
            call()
            steps.append(time.perf_counter() - begun)
        taken.append(steps)
    return unpaired(*taken, np.mean)


TOOLS: dict[str, Callable[[Call, Call, Call, float], Found]] = {
    "attnbench": ours,
    "torch.utils.benchmark": torch_timer,
    "pytest-benchmark": pytest_benchmark,
    "timm's way": timm_way,
}


def unpaired(
    first: Sequence[float], second: Sequence[float], centre: Callable[[Sequence[float]], float]
) -> Found:
    """Return the ratio of two centers, and whether the samples would be called different."""
    ratio = float(centre(second) / centre(first))
    p_value = float(stats.mannwhitneyu(first, second).pvalue)
    return ratio, None, None, p_value < 0.05 and abs(ratio - 1) >= CLAIM


def pytest_fixture(seconds: float) -> BenchmarkFixture:
    """Return pytest-benchmark's ``benchmark`` fixture with its defaults, outside of pytest."""
    given = {
        "node": SimpleNamespace(name="timing", nodeid="timing"),
        "disable_gc": False,
        "timer": SimpleNamespace(target=time.perf_counter),
        "min_rounds": 5,
        "min_time": 0.000005,
        "max_time": seconds,
        "precision": None,
        "confidence": None,
        "warmup": False,
        "warmup_iterations": 100_000,
        "calibration_precision": 10,
        "add_stats": lambda _: None,
        "logger": SimpleNamespace(debug=lambda *_, **__: None, warning=logging.warning),
        "warner": None,
        "disabled": False,
        "cprofile": None,
        "cprofile_loops": None,
        "cprofile_dump": None,
    }
    known = inspect.signature(BenchmarkFixture.__init__).parameters  # they differ by version
    return BenchmarkFixture(**{name: value for name, value in given.items() if name in known})


def slower_work(pieces: int, tries: int, budget_s: float) -> list[Try]:
    """Compare so many pieces of work with 100."""
    results = []
    for _ in range(tries):
        arms = {"100": work(100), "more": work(pieces)}
        start = time.perf_counter()
        result = compare(arms, baseline="100", budget_s=budget_s, again=work(100), threads=1)
        found = result["more"]
        taken = time.perf_counter() - start
        claimed = found.verdict == "slower"
        results.append(Try(found.ratio, found.ratio_low, found.ratio_high, claimed, taken))
    return results


def work(pieces: int) -> Call:
    """So many convolutions, one after the other; together about as long as a MobileNetV2."""
    conv = nn.Conv2d(64, 64, 3, padding=1).eval()
    data = torch.randn(1, 64, 14, 14)

    def run() -> None:
        for _ in range(pieces):
            conv(data)

    return run


def show_same(results: dict[str, list[Try]]) -> None:
    """Print the A/A table."""
    print(f"{'MobileNetV2 against its copy':30} {'RMS error':>9} {'worst':>7} {'wrong':>9} s/try")
    for tool, tries in results.items():
        errors = np.array([one.ratio - 1 for one in tries])
        wrong = f"{sum(one.claimed for one in tries)}/{len(tries)}"
        seconds = np.mean([one.seconds for one in tries])
        rms, worst = np.sqrt(np.mean(errors**2)), np.abs(errors).max()
        print(f"{tool:30} {rms:9.2%} {worst:7.1%} {wrong:>9} {seconds:5.1f}")


def show_power(pieces: int, tries: list[Try]) -> None:
    """Print how often the difference was found."""
    truth = pieces / 100
    slower = sum(one.claimed for one in tries)
    held = sum(one.low <= truth <= one.high for one in tries if one.low and one.high)
    rms = np.sqrt(np.mean([(one.ratio / truth - 1) ** 2 for one in tries]))
    seconds = np.mean([one.seconds for one in tries])
    print(
        f"{pieces} pieces of work against 100: called slower in {slower}/{len(tries)} tries, "
        f"the interval holds {truth:g} in {held}/{len(tries)}, RMS error {rms:.2%}, "
        f"{seconds:.1f} s/try"
    )


def show_recorded(folder: Path, most: int | None) -> None:
    """Print the widths of a run's intervals and the errors on its A/A rounds."""
    samples = read_samples(folder, most)
    new, old = widths(samples)
    print(
        f"intervals of {len(new)} rows of {folder.name}: mean width {np.mean(new):.2%}, by the "
        f"former rule {np.mean(old):.2%}; ratio {np.mean(new) / np.mean(old):.3f}, median of the "
        f"rows' ratios {np.median(new / old):.3f}"
    )
    print(f"{'A/A rounds, estimates of':49} sessions RMS error   worst")
    for name, found in errors(samples).items():
        rms, worst = np.sqrt(np.mean(found**2)), np.abs(found).max()
        print(f"{name:49} {len(found):8} {rms:9.2%} {worst:7.1%}")


def show_simulated(found: Sequence[Coverage]) -> None:
    """Print the coverage of both rules."""
    head = " ".join(f"{name:>7}" for name in ("covers", "former", "width", "former"))
    print(f"{'simulated sessions':34} {head} {'wrong':>9}")
    for kind in found:
        title = f"{kind.processes} processes, {kind.arms} arms, {kind.noise}"
        shares = " ".join(f"{held / kind.rows:7.1%}" for held in kind.held)
        sizes = " ".join(f"{width / kind.rows:7.2%}" for width in kind.widths)
        print(f"{title:34} {shares} {sizes} {f'{kind.claimed}/{kind.rows}':>9}")


if __name__ == "__main__":
    run(main)
