"""Timing process: both sides' artifacts in one process, with a second copy of base's.

Started as ``python -m attnbench.regression.ci.time_worker``, of head's attnbench alone; it serves
tasks as the worker of a run does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from attnbench.workers.serve import serve

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


def _load(file: str, shape: list[int]) -> Callable[[], object]:
    import torch

    model = torch.export.load(file).module()
    example = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    model(example)
    return lambda: model(example)


if __name__ == "__main__":
    serve(lambda report: ArtifactTimer())
