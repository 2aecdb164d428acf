"""torch.compile with Inductor, whose cache on disk shortens the compilation in later processes."""

from __future__ import annotations

import inspect
import os
import shutil
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from attnbench.runtimes.eager import bind, prepare
from attnbench.runtimes.runtime import BuiltModel, RuntimeBase, RuntimeSettings, check
from attnbench.runtimes.torch_export import capture_output, failure

if TYPE_CHECKING:
    from torch import Tensor, nn

_COMPILERS = ("g++", "clang++", "c++", "cl")
_ENOUGH = 1_000
"""Limit of compilations per code object: all models of a table share those of their classes."""


class Compiled(RuntimeBase):
    """torch.compile, Inductor: default mode, on CUDA with graphs (``reduce-overhead``)."""

    name: ClassVar[str] = "compile"
    title: ClassVar[str] = "torch.compile (Inductor)"
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "bf16")
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda", "xpu")

    def missing(self) -> str | None:
        """Return the remedy if Inductor's C++ compiler for the CPU is absent, or None."""
        if os.environ.get("CXX") or any(shutil.which(compiler) for compiler in _COMPILERS):
            return None
        return "torch.compile needs a C++ compiler: install g++ or clang, or name one in CXX"

    def build(
        self, model: nn.Module, example: Tensor, settings: RuntimeSettings, folder: Path
    ) -> BuiltModel:
        """Compile a copy of the model for the example's shape; see :class:`Runtime`."""
        import torch

        check(self, settings)
        torch.set_num_threads(settings.threads)  # Inductor writes their number into the code
        started = time.perf_counter()
        try:
            placed = prepare(model, settings, torch.contiguous_format)
            with capture_output(), _counted() as counted:
                call = _compiled(placed, settings)
                built = bind(call, example, settings, torch.contiguous_format, started)
        except Exception as error:
            raise failure(self.title, error) from error
        graphs, breaks = counted()
        noted = f"{graphs} compiled graph{'s' * (graphs != 1)}"
        return replace(built, fallbacks=breaks, notes=(noted,))


def _compiled(model: nn.Module, settings: RuntimeSettings) -> Callable[..., Any]:
    """Return the compiled model, independent of all other compiled models of the process.

    Dynamo keeps its results, and its limit of compilations, per code object, which models of one
    class share. Therefore each model gets an entry function of its own, and the limits are raised
    for the code after graph breaks.
    """
    import torch

    _raise_limits()
    options: dict[str, Any] = {"dynamic": False}
    if settings.device.startswith("cuda"):
        options["mode"] = "reduce-overhead"
    if "isolate_recompiles" in inspect.signature(torch.compile).parameters:
        options |= {"isolate_recompiles": True, "recompile_limit": _ENOUGH}
    compiled: Callable[..., Any] = torch.compile(_entry(model), **options)
    return compiled


def _entry(model: nn.Module) -> Callable[[Tensor], Any]:
    def forward(x: Tensor) -> Any:
        return model(x)

    own = forward.__code__.replace()
    return types.FunctionType(own, forward.__globals__, "forward", None, forward.__closure__)


def _raise_limits() -> None:
    """Raise Dynamo's limits: beyond them it runs a model in eager mode without a report."""
    import torch._dynamo

    limits = {"recompile_limit": _ENOUGH, "accumulated_recompile_limit": 64 * _ENOUGH}
    for name, value in limits.items():
        setattr(torch._dynamo.config, name, max(value, getattr(torch._dynamo.config, name)))


@contextmanager
def _counted() -> Iterator[Callable[[], tuple[int, dict[str, int]]]]:
    """Yield a function that returns the graphs compiled since then, and the reasons of breaks."""
    from torch._dynamo.utils import counters

    graphs = counters["stats"]["unique_graphs"]
    before = Counter(counters["graph_break"])

    def counted() -> tuple[int, dict[str, int]]:
        breaks = Counter(counters["graph_break"]) - before
        named = Counter[str]()
        for reason, count in breaks.items():
            named[f"graph break: {_first_line(reason)}"] += count
        return counters["stats"]["unique_graphs"] - graphs, dict(named)

    yield counted


def _first_line(reason: str) -> str:
    return next((line.strip() for line in reason.splitlines() if line.strip()), "unknown")
