"""Counting speed: ours beside fvcore and ptflops, on the same rows, in one process.

    python benchmarks/counting.py [--rounds 5] [--suite NAME] [--rows N] [--smoke]

Every row of the shipped suites that has a backbone is counted by each tool, with its modules as
they train. Building the networks is not timed for anybody: fvcore and ptflops get placed networks
that are ready, ours gets the specs, and its backbones and modules are built beforehand. The tools
take turns within each round, in random order; the median round counts. Then one MobileNetV2 for
each tool, which ours traces whole. Every tool must have counted something in every row; the sums
differ by what each takes for a multiply-add.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import random
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from command_line import Parser, count, run
from torch import nn

import attnbench
from attnbench.measure.cost import CostMeter
from attnbench.measure.iso_macs import IsoMacBaselines
from attnbench.models.backbones import create_backbone
from attnbench.registry.attention import Attention
from attnbench.registry.plugins import catalog
from attnbench.suites.case import Case
from attnbench.suites.load import find_suite
from attnbench.suites.plan import all_cases, plan

Count = Callable[[], list[float]]
"""Returns the multiply-adds of each row."""


def main() -> None:
    """Print both comparisons."""
    parser = Parser(__doc__, rounds=1, rows=4, suite="ulsam-ablation")
    parser.add_argument("--rounds", type=count, default=5)
    parser.add_argument("--suite", help="the rows of this suite; of all by default")
    parser.add_argument("--rows", type=count, help="so many of them, evenly spread; all by default")
    options = parser.read()
    rounds = options.rounds
    warnings.simplefilter("ignore")
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    cases, threads = spread(shipped_cases(options.suite), options.rows), torch.get_num_threads()
    print(f"{len(cases)} rows of the shipped suites, {rounds} rounds, {threads} threads")
    report(compare(shipped_tools(cases), rounds, len(cases)), len(cases), "rows/s")
    print("one MobileNetV2 at 224x224, traced whole")
    single = single_tools(create_backbone("mobilenet_v2").eval())
    report(compare(single, 3 * rounds, 1), 1, "models/s")


def shipped_cases(chosen: str | None) -> list[Case]:
    """Return every row with a backbone of one or every shipped suite, planned as they are run."""
    brackets = IsoMacBaselines(CostMeter(catalog()))
    names = [chosen] if chosen else catalog().suites.names()
    suites = (find_suite(name, catalog()) for name in names)
    cases = (case for suite in suites for case in all_cases(plan(suite, catalog(), (), brackets)))
    counted = (case for case in cases if case.kind == "cost" and case.backbone)
    # rows that differ by the form or by the counters beside ours are one network
    return list(dict.fromkeys(replace(row, counters=False, fused=False) for row in counted))


def spread(cases: Sequence[Case], rows: int | None) -> list[Case]:
    """Return so many cases from the first to the last."""
    number = min(rows or len(cases), len(cases))
    return [cases[round(place * (len(cases) - 1) / max(number - 1, 1))] for place in range(number)]


def shipped_tools(cases: Sequence[Case]) -> dict[str, Count]:
    """Return what each tool does with all rows; networks and modules are built here."""
    placed = [(build(case), case.size) for case in cases]
    ready = BuiltModules()
    meter = ready.meter(cases)

    def ours() -> list[float]:
        fresh = ready.fresh(meter)
        return [float(fresh.measure(case)["values"]["macs"] or 0) for case in cases]

    return {
        "attnbench": ours,
        "fvcore": lambda: [fvcore_macs(model, size) for model, size in placed],
        "ptflops": lambda: [ptflops_macs(model, size) for model, size in placed],
    }


def single_tools(model: nn.Module) -> dict[str, Count]:
    """Return what each tool does with one network."""
    size = (224, 224)
    return {
        "attnbench": lambda: [float(attnbench.cost(model, (1, 3, *size)).macs)],
        "fvcore": lambda: [fvcore_macs(model, size)],
        "ptflops": lambda: [ptflops_macs(model, size)],
    }


class BuiltModules:
    """Keeps every network and module that the rows need, so that only counting is timed."""

    def __init__(self) -> None:
        self._built: dict[tuple[str, int, tuple[int, int] | None], nn.Module] = {}

    def meter(self, cases: Sequence[Case]) -> CostMeter:
        """Return a meter that has built everything once."""
        original = Attention.build
        built = self._built

        def build_once(
            self: Attention, channels: int, feature_size: tuple[int, int] | None = None
        ) -> nn.Module:
            key = (str(self.spec), channels, feature_size)
            if key not in built:
                built[key] = original(self, channels, feature_size)
            return built[key]

        Attention.build = build_once  # type: ignore[method-assign]
        meter = CostMeter(catalog())
        for case in cases:
            meter.measure(case)
        return meter

    @staticmethod
    def fresh(warm: CostMeter) -> CostMeter:
        """Return a meter that has counted nothing; its backbones are built, not yet traced."""
        return PrebuiltMeter({key: known.model for key, known in warm._known.items()})


class PrebuiltMeter(CostMeter):
    """A meter whose backbones exist already."""

    def __init__(self, models: dict[tuple[str, tuple[int, int]], nn.Module]) -> None:
        super().__init__(catalog())
        self._models = models

    def build_backbone(self, spec: str, size: tuple[int, int]) -> nn.Module:
        """Return the one that is there."""
        return self._models[spec, size]


def build(case: Case) -> nn.Module:
    """Return the placed network of a row."""
    model = create_backbone(str(case.backbone)).eval()
    if case.module and case.placement:
        model = attnbench.insert(model, case.placement, case.module)
    return model


def fvcore_macs(model: nn.Module, size: tuple[int, int]) -> float:
    """Count as fvcore's users do."""
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(model, torch.zeros(1, 3, *size))
    return float(analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total())


def ptflops_macs(model: nn.Module, size: tuple[int, int]) -> float:
    """Count as ptflops' users do, with its default backend."""
    from ptflops import get_model_complexity_info

    with contextlib.redirect_stdout(io.StringIO()):
        macs, _ = get_model_complexity_info(
            model, (3, *size), as_strings=False, print_per_layer_stat=False
        )
    return float(macs)


def compare(tools: dict[str, Count], rounds: int, rows: int) -> dict[str, list[float]]:
    """Return the seconds of each tool in each round, after one round that is not timed.

    Raises:
        SystemExit: a tool did not count every row.
    """
    taken: dict[str, list[float]] = {name: [] for name in tools}
    for number in range(rounds + 1):
        for name in random.sample(list(tools), len(tools)):
            start = time.perf_counter()
            macs = tools[name]()
            if number:
                taken[name].append(time.perf_counter() - start)
                continue
            right = sum(math.isfinite(value) and value > 0 for value in macs)
            if right != rows or len(macs) != rows:
                raise SystemExit(f"{name} counted {right} of {rows} rows")
            print(f"  {name:<10} {right:>9} counted, {sum(macs) / 1e9:.3f} GMACs in all")
    return taken


def report(seconds: dict[str, list[float]], rows: int, unit: str) -> None:
    """Print a line for each tool and how much faster ours is than the faster of the others."""
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    for name, median in medians.items():
        spread = f"{min(seconds[name]):.4f} to {max(seconds[name]):.4f} s"
        print(f"  {name:<10} {rows / median:>9.1f} {unit:<9} median {median:.4f} s ({spread})")
    rival = min(value for name, value in medians.items() if name != "attnbench")
    print(f"  ours is {rival / medians['attnbench']:.1f} times as fast as the faster of the two")


if __name__ == "__main__":
    run(main)
