"""torch.compile with Inductor, whose cache on disk shortens the compilation in later processes."""

from __future__ import annotations

import inspect
import os
import shutil
import types
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from attnbench.runtimes.eager import Eager
from attnbench.runtimes.runtime import BuiltModel, RuntimeSettings
from attnbench.runtimes.torch_export import capture_output

if TYPE_CHECKING:
    from torch import Tensor, nn

_ENOUGH = 1_000
"""Limit of compilations per code object: all models of a table share those of their classes."""
_REPLAYS = 3


class Compiled(Eager):
    """torch.compile, Inductor: default mode, on CUDA with graphs (``reduce-overhead``)."""

    name: ClassVar[str] = "compile"
    title: ClassVar[str] = "torch.compile (Inductor)"
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda", "xpu")

    def missing(self) -> str | None:
        """Return the remedy if Inductor's C++ compiler for the CPU is absent, or None."""
        if os.environ.get("CXX") or any(map(shutil.which, ("g++", "clang++", "c++", "cl"))):
            return None
        return "torch.compile needs a C++ compiler: install g++ or clang, or name one in CXX"

    def _build(self, model: nn.Module, example: Tensor, settings: RuntimeSettings) -> BuiltModel:
        report = _count_graphs()
        with capture_output():
            built = super()._build(model, example, settings)
            for _ in range(_REPLAYS * _has_graphs(settings)):
                built.run()  # a CUDA graph is recorded, or skipped, at the second call
        graphs, fallbacks = report()
        note = f"{graphs} compiled graph{'s' * (graphs != 1)}"
        is_seen = not _has_graphs(settings)
        return replace(built, fallbacks=fallbacks, notes=(note,), allocates_in_torch=is_seen)

    def _compile(self, model: nn.Module, settings: RuntimeSettings) -> Callable[..., Any]:
        """Return the compiled model, independent of all other compiled models of the process.

        Dynamo keeps its results, and its limit of compilations, per code object, which models of
        one class share. Therefore each model gets an entry function of its own, and the limits are
        raised for the code after graph breaks: beyond them Dynamo runs a model in eager mode
        without a report.
        """
        import torch
        import torch._dynamo

        config = torch._dynamo.config
        limits = {"recompile_limit": _ENOUGH, "accumulated_recompile_limit": 64 * _ENOUGH}
        for name, value in limits.items():
            setattr(config, name, max(value, getattr(config, name)))
        options: dict[str, Any] = {"dynamic": False}
        if _has_graphs(settings):
            options["mode"] = "reduce-overhead"
        if "isolate_recompiles" in inspect.signature(torch.compile).parameters:
            options |= {"isolate_recompiles": True, "recompile_limit": _ENOUGH}
        compiled: Callable[..., Any] = torch.compile(_entry(model), **options)
        return compiled


def _has_graphs(settings: RuntimeSettings) -> bool:
    """Return whether compiled code is to be replayed as CUDA graphs."""
    return settings.device_kind == "cuda"


def _entry(model: nn.Module) -> Callable[[Tensor], Any]:
    def forward(x: Tensor) -> Any:
        return model(x)

    own = forward.__code__.replace()
    return types.FunctionType(own, forward.__globals__, "forward", None, forward.__closure__)


def _count_graphs() -> Callable[[], tuple[int, dict[str, int]]]:
    """Return a function that returns the graphs compiled since now, and what was not as intended.

    The latter are the reasons of graph breaks, and the CUDA graphs that Inductor skipped: it then
    launches kernel after kernel, with a warning only.
    """
    from torch._dynamo.utils import counters

    graphs = counters["stats"]["unique_graphs"]
    skips = counters["inductor"]["cudagraph_skips"]
    before = Counter(counters["graph_break"])

    def report() -> tuple[int, dict[str, int]]:
        named = Counter[str]()
        for reason, count in (Counter(counters["graph_break"]) - before).items():
            lines = (line.strip() for line in reason.splitlines())
            named[f"graph break: {next(filter(None, lines), 'unknown')}"] += count
        if skipped := counters["inductor"]["cudagraph_skips"] - skips:
            named["CUDA graph skipped by Inductor"] += skipped
        return counters["stats"]["unique_graphs"] - graphs, dict(named)

    return report
