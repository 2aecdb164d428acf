"""The network of a case in this side's attnbench, through its public names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Network = Mapping[str, Any]
"""``backbone``, ``module``, ``placement``, ``channels``, ``size`` and ``fused`` of a case."""
SEED = 0


def shape_of(case: Network) -> tuple[int, ...]:
    """Return the shape of the input: one image, or one map for a module alone."""
    return (1, 3 if case["backbone"] else case["channels"], *case["size"])


def example(case: Network) -> Any:
    """Return an input, the same in every process."""
    import torch

    return torch.randn(shape_of(case), generator=torch.Generator().manual_seed(SEED))


def built(case: Network) -> Any:
    """Return the network in evaluation mode, with weights that are the same in every process."""
    import random

    import numpy
    import torch

    import attnbench
    from attnbench.runtimes.weights import lively

    random.seed(SEED)  # a module may draw its shape from any of the three
    numpy.random.seed(SEED)
    torch.manual_seed(SEED)
    model = _plain(case)
    lively(model.eval(), SEED, example(case))
    model = attnbench.fuse(model) if case["fused"] else model
    return model.eval().requires_grad_(False)


def _plain(case: Network) -> Any:
    import attnbench

    size = tuple(case["size"])
    if not case["backbone"]:
        return attnbench.create_module(case["module"], case["channels"], feature_size=size)
    model = attnbench.create_backbone(case["backbone"])
    if not case["module"]:
        return model
    return attnbench.insert(model, case["placement"], case["module"], input_size=(1, 3, *size))


def counted(case: Network, model: Any) -> dict[str, int]:
    """Return what the network costs on paper."""
    import attnbench

    cost = attnbench.cost(model, shape_of(case))
    return {
        "params": cost.params,
        "macs": cost.macs,
        "activations": cost.activations,
        "bytes": cost.bytes,
        **({"operators": cost.operators} if hasattr(cost, "operators") else {}),  # base may be old
    }


def saved(case: Network, file: Path) -> None:
    """Write the exported network with its weights."""
    import torch

    from attnbench.runtimes.exporting import exported

    torch.export.save(exported(built(case), example(case)), file)


def timed(case: Network, seconds: float) -> dict[str, Any]:
    """Return the median logarithm of the network's seconds, timed alone in this process."""
    import numpy as np
    import torch

    from attnbench.timing.heap import keep_heap
    from attnbench.timing.quiet import quiet
    from attnbench.timing.unshared import single_thread_clock

    keep_heap()
    torch.set_num_threads(1)
    model, given = built(case), example(case)
    with torch.inference_mode(), quiet(1):
        clock = single_thread_clock()
        taken = _samples(lambda: clock.time(lambda: model(given), 1), seconds)
    return {
        "log": float(np.median(np.log(taken))),
        "calls": len(taken),
        "clock": type(clock).__name__,
    }


def _samples(once: Any, seconds: float) -> list[float]:
    """Call for so long, and at least five times; the first quarter warms up."""
    from time import perf_counter

    start = perf_counter()
    taken: list[float] = []
    while perf_counter() - start < seconds or len(taken) < 7:
        taken.append(max(once(), 1e-9))
    return taken[len(taken) // 4 :]
