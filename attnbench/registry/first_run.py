"""The first forward pass of a module, on shapes alone where possible: its output and its layout.

A module is run once for each width and map size before anything is measured. The pass shows whether
it returns one tensor of its input's shape, and whether parameters appear in it or get their size.
"""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from attnbench.counting.forward_pass import on_copy
from attnbench.counting.model_copies import shape_copy
from attnbench.counting.recorder import Recorder
from attnbench.counting.trace import Trace
from attnbench.errors import AttnbenchError, CountingError
from attnbench.registry.blend import Blend
from attnbench.utils.process_settings import FORWARD, preserve_from_module
from attnbench.utils.text import describe

_Layout = Mapping[str, tuple[Any, ...]]
_BATCHES = (1, 2)
"""Batch sizes to try: some modules cannot run on one image."""


@dataclass(frozen=True)
class FirstRun:
    """A first forward pass."""

    shape: tuple[int, ...]
    """Shape of the input."""
    problem: str = ""
    """Violation of the contract, to follow the name of the module; empty if it holds."""
    error: BaseException | None = None
    """The exception that the forward pass raised."""
    appearing: tuple[str, ...] = ()
    """Names of parameters and buffers that appear in the pass, or get their size in it."""
    shapes: nn.Module | None = None
    """The module after the pass, without weights."""
    trace: Trace | None = None
    """The operators of the pass."""
    training: str = ""
    """Violation of the contract in training mode."""


def first_run(module: nn.Module, channels: int, size: tuple[int, int]) -> FirstRun:
    """Run a copy of a module on a map of noise; the module and all random states are kept.

    A module on the meta device is run itself. Of a :class:`Blend`, the attention is run first.
    """
    inner = first_run(module.attention, channels, size) if isinstance(module, Blend) else None
    if inner is not None and inner.problem:
        return inner
    run = _run(module, channels, size)
    return replace(run, appearing=inner.appearing) if inner is not None else run


def _run(module: nn.Module, channels: int, size: tuple[int, int]) -> FirstRun:
    failed = None
    for batch in _BATCHES:
        shape = (batch, channels, *size)
        try:
            with _kept_random_states(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return on_copy(module, shape, _observe, owned=_is_meta(module))
        except CountingError as error:
            cause = error.__cause__ or error
            failed = failed or FirstRun(shape, f"fails on {shape}: {_reason(cause)}", cause)
    return failed or FirstRun(())


def train_once(run: FirstRun, spec: str) -> str:
    """Return the violation of the contract in training mode, or the empty string.

    Two passes with gradients on, on shapes alone: parameters that appear now would miss the
    optimizer. Settings of the process that the passes change are restored and named.
    """
    if run.shapes is None or run.problem:
        return ""
    inner = run.shapes.attention if isinstance(run.shapes, Blend) else run.shapes
    copy, x = shape_copy(inner).train(), torch.empty(2, *run.shape[1:], device="meta")
    with (
        _kept_random_states(),
        torch.random.fork_rng(devices=[]),
        preserve_from_module(spec, FORWARD),
        warnings.catch_warnings(),
        torch.enable_grad(),
    ):
        warnings.simplefilter("ignore")
        return _training_problem(copy, x) or _training_problem(copy, x)


def _training_problem(copy: nn.Module, x: Tensor) -> str:
    before, output = _layout(copy), x
    with suppress(Exception, SystemExit):  # it may depend on values
        output = copy(x)
    late = _changes(before, _layout(copy))
    if late:
        return (
            f"has other parameters after a pass in training than before: got {', '.join(late)}. "
            "Create them in __init__, or once in the first pass"
        )
    return _output_problem(output, x, " in training")


def materialize(module: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Run a module in eval mode, in place, so that its parameters appear and get their size.

    Modes are restored; parameters draw their values from torch's generator.
    """
    modes = {part: part.training for part in module.modules()}
    tensors = (tensor for tensor in module.parameters() if tensor.is_floating_point())
    like = next(tensors, torch.empty(0))
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(shape, generator=generator, device="cpu").to(like.device, like.dtype)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module.eval()(noise)
    torch.clear_autocast_cache()  # it holds copies of parameters that the caller may set
    for part in module.modules():
        part.training = modes.get(part, modes[module])
    return module


def without_weights(build: Callable[[], nn.Module]) -> nn.Module:
    """Return the module that ``build`` creates, without weights where its constructors allow it."""
    try:
        with torch.device("meta"):  # counting needs only shapes
            return build()
    except Exception:
        return build()  # some constructors compute with values


def _observe(copy: nn.Module, x: Tensor) -> FirstRun:
    before = _layout(copy)
    output, trace = _traced(copy, x)
    after = _layout(copy)
    appearing = _changes(before, after)
    if appearing:  # a later pass makes them no more
        output, trace = _traced(copy, x)
    shapes = copy if _is_meta(copy) else shape_copy(copy)
    problem = _lazy_problem(after) or _output_problem(output, x)
    return FirstRun(tuple(x.shape), problem, None, appearing, shapes, trace)


def _traced(copy: nn.Module, x: Tensor) -> tuple[Any, Trace]:
    recorder = Recorder()
    with recorder.watching(copy), recorder:
        output: Any = copy(x)
    return output, Trace(tuple(recorder.ops), tuple(recorder.calls))


def _layout(module: nn.Module) -> _Layout:
    """Return what identifies each parameter and buffer by name; the first item keeps it alive."""
    parameters = {
        name: (tensor, id(tensor), is_lazy(tensor)) for name, tensor in module.named_parameters()
    }
    buffers = {name: (tensor, is_lazy(tensor)) for name, tensor in module.named_buffers()}
    return {**parameters, **buffers}


def _changes(
    before: Mapping[str, tuple[Any, ...]], after: Mapping[str, tuple[Any, ...]]
) -> tuple[str, ...]:
    return tuple(name for name in after if after[name][1:] != before.get(name, ())[1:])


def _lazy_problem(layout: _Layout) -> str:
    unsized = [name for name, (_, *facts) in layout.items() if facts[-1]]
    if not unsized:
        return ""
    return (
        f"has lazy parameters that no forward pass reaches: got {', '.join(unsized)}. Remove them, "
        "or give them a size"
    )


def _output_problem(output: Any, x: Tensor, mode: str = "") -> str:
    """Return the violation of the contract by an output, or the empty string."""
    must = "must return one tensor of the input's shape"
    if not isinstance(output, Tensor):
        return f"returns {_kind(output)}{mode}, {must}: got {_shown(output)} for {_shown(x)}"
    if output.shape != x.shape:
        return f"returns another shape{mode}, {must}: got {_shown(output)} for {_shown(x)}"
    if output.dtype != x.dtype:
        return f"returns another dtype{mode}, {must} and dtype: got {output.dtype} for {x.dtype}"
    return ""


def _kind(output: Any) -> str:
    kind = "None" if output is None else f"a {type(output).__name__}"
    return f"{kind} of {len(output)}" if isinstance(output, tuple | list | dict) else kind


def _shown(output: Any) -> str:
    if isinstance(output, Tensor):
        return str(tuple(output.shape))
    if isinstance(output, Mapping):
        return f"{{{', '.join(f'{key!r}: {_shown(value)}' for key, value in output.items())}}}"
    if isinstance(output, tuple | list):
        return f"({', '.join(map(_shown, output))})"
    return type(output).__name__


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, AttnbenchError) else describe(error)


def _is_meta(module: nn.Module) -> bool:
    """Return whether a module has tensors, all of them on the meta device."""
    tensors = [*chain(module.parameters(), module.buffers())]
    return bool(tensors) and all(tensor.is_meta for tensor in tensors)


@contextmanager
def _kept_random_states() -> Iterator[None]:
    """Restore the generators of Python and NumPy; a pass on a copy restores torch's."""
    numpy = sys.modules.get("numpy.random")
    state, other = random.getstate(), numpy.get_state() if numpy else None
    try:
        yield
    finally:
        random.setstate(state)
        if numpy is not None:
            numpy.set_state(other)
