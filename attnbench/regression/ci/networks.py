"""Building, counting, exporting and timing of a case's network, in a side's process."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attnbench.counting.cost import cost
from attnbench.models.backbones import create_backbone
from attnbench.models.fuse import fuse
from attnbench.models.insertion import insert
from attnbench.registry.attention import find_attention
from attnbench.regression.ci.inspect_networks import COSTS, Network, input_shape
from attnbench.runtimes.sample_inputs import randomize_weights
from attnbench.runtimes.torch_export import export_program
from attnbench.timing.clock import single_thread_clock
from attnbench.timing.isolation import keep_heap, quiet

_SEED = 0
_FEWEST_CALLS = 7


def build_network(network: Network) -> nn.Module:
    """Return the network in evaluation mode, with weights that are the same in every process."""
    random.seed(_SEED)  # a module may draw its shape from any of the three generators
    np.random.seed(_SEED)
    torch.manual_seed(_SEED)
    model = _construct(network)
    randomize_weights(model.eval(), _SEED, _example(network))
    model = fuse(model) if network.get("fused") else model
    return model.eval().requires_grad_(False)


def count_costs(network: Network, model: nn.Module) -> dict[str, int]:
    """Return parameters, MACs and the other exact metrics of a network."""
    found = cost(model, input_shape(network))
    return {metric: int(getattr(found, metric)) for metric in COSTS}


def export_network(network: Network, file: Path) -> None:
    """Write the exported network with its weights."""
    torch.export.save(export_program(build_network(network), _example(network)), file)


def time_network(network: Network, seconds: float) -> dict[str, Any]:
    """Return the median logarithm of the network's seconds, timed alone in this process."""
    keep_heap()
    torch.set_num_threads(1)
    model, example = build_network(network), _example(network)
    with torch.inference_mode(), quiet(1):
        clock = single_thread_clock()
        samples = _sample(lambda: clock.time(lambda: model(example), 1), seconds)
    return {
        "log": float(np.median(np.log(samples))),
        "calls": len(samples),
        "clock": type(clock).__name__,
    }


def _construct(network: Network) -> nn.Module:
    height, width = network["size"]
    if not network["backbone"]:
        return find_attention(network["module"]).build(network["channels"], (height, width))
    model = create_backbone(network["backbone"])
    if not network["module"]:
        return model
    image = (1, 3, height, width)
    return insert(model, network["placement"], network["module"], input_size=image)


def _example(network: Network) -> Tensor:
    """Return an input, the same in every process."""
    return torch.randn(input_shape(network), generator=torch.Generator().manual_seed(_SEED))


def _sample(call: Callable[[], float], seconds: float) -> list[float]:
    """Return the seconds of each call within a period; the first quarter, warm-up, is omitted."""
    start = perf_counter()
    samples: list[float] = []
    while perf_counter() - start < seconds or len(samples) < _FEWEST_CALLS:
        samples.append(max(call(), 1e-9))
    return samples[len(samples) // 4 :]
