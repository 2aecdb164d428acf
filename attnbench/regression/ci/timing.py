"""Timing of base against head: exported networks in one process, others in process pairs.

``python -m attnbench.regression.ci.timing``, of head's attnbench alone, is the process that times
the artifacts of both sides and a second copy of base's. It serves tasks as a run's worker does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attnbench.regression.ci.checkout_process import SideProcess
from attnbench.regression.ci.inspect_networks import NetworkPair, input_shape
from attnbench.stats.timing_samples import TimingSamples
from attnbench.workers.process import Limits, Worker, module_arguments, run_task
from attnbench.workers.serve import serve

FEWEST_PROCESSES = 3
"""Minimum of processes: each has its own memory layout; the spread over layouts needs several."""
FEWEST_PAIRS = 8
"""Minimum of fresh process pairs: identical networks in two processes differ by 3 to 6%."""
_MODULE = "attnbench.regression.ci.timing"
_LIMIT_S = 600.0


@dataclass(frozen=True)
class TimingPlan:
    """Plan of a network's timing.

    Attributes:
        budget_s: seconds of sampling in each process.
        processes: fresh processes for networks that can be exported.
        pairs: fresh pairs of processes for those that cannot.
    """

    budget_s: float = 5.0
    processes: int = FEWEST_PROCESSES
    pairs: int = FEWEST_PAIRS

    @property
    def lone_s(self) -> float:
        """Seconds of each process of a pair; together they take as long as interleaving."""
        return max(0.5, self.budget_s * self.processes / (2 * max(self.pairs, 1)))


@dataclass(frozen=True)
class TimedPair:
    """The timings of one network on both sides.

    Attributes:
        samples: the samples of each process that interleaved both sides.
        pairs: otherwise base's and head's median logarithm of seconds in each pair of processes.
        exports: why a side could not be exported; None where it could.
        error: why nothing was timed.
        guilty: the side that the error occurred on.
    """

    samples: tuple[TimingSamples, ...] = ()
    pairs: tuple[tuple[float, float], ...] = ()
    exports: Mapping[str, str | None] | None = None
    error: str | None = None
    guilty: str = ""


def time_pair(
    pair: NetworkPair,
    processes: tuple[SideProcess, SideProcess],
    folder: Path,
    plan: TimingPlan,
    progress: Callable[[str], object],
) -> TimedPair:
    """Time a network of both sides, whose processes export it into a folder, then wait."""
    name = pair.name("latency")
    progress(f"{name}: exporting both sides")
    files = [folder / f"{process.side.name}.pt2" for process in processes]
    exports: dict[str, str | None] = {}
    for process, file in zip(processes, files, strict=True):
        answer = process.answer(do="export", network=pair.network, file=str(file))
        exports[process.side.name] = answer.get("error")
    if not any(exports.values()):
        samples, error = time_interleaved(name, input_shape(pair.network), files, plan, progress)
        if error is None:
            return TimedPair(tuple(samples), exports=exports)
        # an operator of the project's own is registered in its own process only
        exports = dict.fromkeys(exports, f"its artefact cannot be timed: {error}")
    return _time_in_pairs(pair, processes, plan, exports, progress)


def time_interleaved(
    name: str,
    shape: Sequence[int],
    files: Sequence[Path],
    plan: TimingPlan,
    progress: Callable[[str], object],
) -> tuple[list[TimingSamples], str | None]:
    """Time two files of ``torch.export.save`` and a copy of the first, one process after another.

    Returns:
        The samples of each process; or none, with the reason.
    """
    found: list[TimingSamples] = []
    for number in range(plan.processes):
        step = f"process {number + 1} of {plan.processes}"
        progress(f"{name}: timing base and head, {step}, {plan.budget_s:g} s")
        task = {
            "base": str(files[0]),
            "head": str(files[1]),
            "shape": list(shape),
            "process": number,
            "sampling": {"budget_s": plan.budget_s, "seed": number},
        }
        limits = Limits(_LIMIT_S + 10 * plan.budget_s)
        # each process has a layout of its own
        with Worker(module_arguments(_MODULE), limits) as worker:
            answer = run_task(worker, task)
        if "error" in answer:
            return [], str(answer["error"])
        found.append(TimingSamples.from_json(answer["ok"]))
    return found, None


def _time_in_pairs(
    pair: NetworkPair,
    processes: tuple[SideProcess, SideProcess],
    plan: TimingPlan,
    exports: Mapping[str, str | None],
    progress: Callable[[str], object],
) -> TimedPair:
    """Time each side alone in a fresh process, base first and head first in turn."""
    found: list[tuple[float, float]] = []
    for number in range(plan.pairs):
        step = f"pair {number + 1} of {plan.pairs} of processes"
        progress(f"{pair.name('latency')}: timing in {step}")
        logs: dict[str, float] = {}
        for process in processes if number % 2 == 0 else processes[::-1]:
            process.stop()  # a fresh process starts with the next task
            answer = process.answer(do="time", network=pair.network, seconds=plan.lone_s)
            process.stop()
            side = process.side.name
            if "error" in answer:
                return TimedPair(exports=exports, error=str(answer["error"]), guilty=side)
            logs[side] = answer["ok"]["log"]
        found.append((logs["base"], logs["head"]))
    return TimedPair(pairs=tuple(found), exports=exports)


ARMS = ("base", "again", "head")


class ArtifactTimer:
    """Timer of two exported artifacts, measured against each other."""

    def do(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """Return the samples of ``{"base": file, "head": file, "shape": ..., "sampling": ...}``."""
        import torch

        from attnbench.timing.clock import single_thread_clock
        from attnbench.timing.isolation import keep_heap, quiet
        from attnbench.timing.sampler import Sampling, sample

        heap = keep_heap()  # before anything large is allocated
        torch.set_num_threads(1)
        files = {"base": task["base"], "again": task["base"], "head": task["head"]}
        with torch.inference_mode(), quiet(1) as fixed:
            # load order affects heap layout, so it rotates over the processes
            turn = task["process"] % len(ARMS)
            order = (*ARMS[turn:], *ARMS[:turn])
            runs = {arm: _load(files[arm], task["shape"]) for arm in order}
            samples = sample(
                {"base": runs["base"], "head": runs["head"]},
                "base",
                Sampling(**task["sampling"]),
                clock=single_thread_clock(),
                again=runs["again"],
            )
        facts = {**samples.conditions, **fixed, "heap_kept": heap}
        return replace(samples, conditions=facts).to_json()

    def notes(self, task: Mapping[str, Any]) -> list[str]:
        """Return no note."""
        return []


def _load(file: str, shape: list[int]) -> Callable[[], object]:
    import torch

    model = torch.export.load(file).module()
    example = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    model(example)
    return lambda: model(example)


if __name__ == "__main__":
    serve(lambda report: ArtifactTimer())
