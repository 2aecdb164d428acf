"""Test of a latency case: verified, sampled by us, and timed by pytest-benchmark."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from attnbench.errors import AttnbenchError
from attnbench.pytest_plugin.errors import report_user_errors
from attnbench.runtimes.torch_export import root_cause

if TYPE_CHECKING:
    from attnbench.pytest_plugin.project import Project
    from attnbench.records.latency_result import LatencyResult
    from attnbench.suites.case import Case

FEWEST, MOST = 5, 1000
"""Limits of the number of pytest-benchmark's rounds."""
_SHARE = 0.25
"""Share of the budget that pytest-benchmark's own rounds take in addition to it."""


def timed(case: Case, project: Project, benchmark: Any, budget_s: float) -> str | None:
    """Time a case; return a line with its ratio, or None if benchmarks are disabled.

    The test fails if the network cannot be built or its output differs from eager's, and is skipped
    if its runtime is not installed; it does not depend on the measured latency.
    """
    with report_user_errors(), tempfile.TemporaryDirectory(prefix="attnbench-") as folder:
        project.latency.check(case)
        run = _ready(case, project, Path(folder), benchmark)
        if not benchmark.enabled:
            benchmark.pedantic(run)
            return None
        timing = _sampled(case, project, Path(folder), budget_s)
        facts = _facts(case, project, timing)
        benchmark.group = case.plain.name.removeprefix("latency/")
        benchmark.extra_info.update(facts)
        threads = case.conditions.threads if case.conditions else 1
        pedantic(benchmark, run, timing.own.median, budget_s, threads)
        return f"{case.name}: {describe_overhead(facts)}"


def pedantic(
    benchmark: Any, run: Callable[[], object], median_s: float, budget_s: float, threads: int = 1
) -> None:
    """Time a call by pytest-benchmark, in as many rounds as a share of the budget allows."""
    from attnbench.timing.isolation import quiet

    # as in the sampler: the clock's overhead becomes negligible
    iterations = max(1, round(1e-3 / median_s))
    rounds = int(_SHARE * budget_s / (iterations * median_s))
    with quiet(threads):
        benchmark.pedantic(
            run,
            rounds=min(max(rounds, FEWEST), MOST),
            iterations=iterations,
            warmup_rounds=1,
        )


def describe_overhead(facts: dict[str, Any]) -> str:
    """Return ratio, confidence interval and verdict as text."""
    interval = f"{facts['ratio_low']:.4g}-{facts['ratio_high']:.4g}"
    return f"ratio {facts['ratio']:.4g} ({interval}), {facts['verdict']}"


def _ready(case: Case, project: Project, folder: Path, benchmark: Any) -> Callable[[], object]:
    try:
        return project.latency.ready(case, folder)
    except Exception as error:
        # through the fixture: an unused one would issue a warning as well
        benchmark.pedantic(_fail, args=(case, error))
        raise


def _sampled(case: Case, project: Project, folder: Path, budget_s: float) -> LatencyResult:
    from attnbench.records.latency_result import timing_of

    samples = project.latency.sample([case], folder, {"budget_s": budget_s})
    timing = timing_of([samples[case.name]], case.conditions.batch if case.conditions else 1)
    if timing is None:
        raise AttnbenchError(f"{case.name}: no round was timed")
    return timing


def _facts(case: Case, project: Project, timing: LatencyResult) -> dict[str, Any]:
    """Return the values listed in addition to pytest-benchmark's own."""
    from attnbench.records.latency_result import judged

    judgement = judged({case: timing})[case]
    counted = project.cost.measure(replace(case, kind="cost", conditions=None)).values
    return {
        "case": case.name,
        "ratio": timing.arm.ratio,
        "ratio_low": timing.arm.low,
        "ratio_high": timing.arm.high,
        "verdict": judgement.verdict,
        "floor": judgement.floor,
        "trust": judgement.trust,
        "pairs": timing.arm.pairs,
        "params": counted["params"],
        "macs": counted["macs"],
    }


def _fail(case: Case, error: Exception) -> NoReturn:
    """Raise an error, also one of a plugin's code, with its cause in one line."""
    if isinstance(error, AttnbenchError):
        raise error
    raise AttnbenchError(f"{case.module or case.backbone}: {root_cause(error)}") from error
