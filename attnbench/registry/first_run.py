"""The first forward pass of a module, on shapes alone where possible: its output and its layout.

A module is run once for each width and map size before anything is measured. The pass shows whether
it returns one tensor of its input's shape, whether parameters appear in it or get their size, and
whether it uses weights that are not among its parameters.
"""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from attnbench.counting.forward_pass import on_copy
from attnbench.counting.model_copies import shape_copy
from attnbench.counting.recorder import Recorder, tensors_in
from attnbench.counting.trace import Trace
from attnbench.errors import AttnbenchError, CountingError
from attnbench.registry.blend import Blend
from attnbench.utils.process_settings import FORWARD, preserve_from_module
from attnbench.utils.text import describe

_Layout = Mapping[str, tuple[Any, ...]]
_BATCHES = (1, 2)
"""Batch sizes to try: some modules cannot run on one image."""
_SHOWN = 4
"""Number of shapes in a message."""


class Violation(NamedTuple):
    """A violation of the contract, to follow the name of the module."""

    problem: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.problem}. {self.remedy}" if self.remedy else self.problem


@dataclass(frozen=True)
class FirstRun:
    """A first forward pass."""

    shape: tuple[int, ...]
    """Shape of the input."""
    problem: Violation | None = None
    error: BaseException | None = None
    """The exception that the forward pass raised."""
    appearing: tuple[str, ...] = ()
    """Names of parameters and buffers that appear in the pass, or get their size in it."""
    shapes: nn.Module | None = None
    """The module after the pass, without weights."""
    trace: Trace | None = None
    """The operators of the pass."""
    training: Violation | None = None
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
                observe = partial(_observe, original=module)
                return on_copy(module, shape, observe, owned=_is_meta(module))
        except CountingError as error:
            cause = error.__cause__ or error
            problem = Violation(f"fails on {shape}: {_reason(cause)}")
            failed = failed or FirstRun(shape, problem, cause)
    return failed or FirstRun(())


def train_once(run: FirstRun, spec: str) -> Violation | None:
    """Return the violation of the contract in training mode; None if it holds.

    Two passes with gradients on, on shapes alone: parameters that appear now would miss the
    optimizer. Settings of the process that the passes change are restored and named.
    """
    if run.shapes is None or run.problem:
        return None
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


def _training_problem(copy: nn.Module, x: Tensor) -> Violation | None:
    before, output = _layout(copy), x
    with suppress(Exception, SystemExit):  # it may depend on values
        output = copy(x)
    late = _late_problem(before, _layout(copy), "a pass in training than before")
    return late or _output_problem(output, x, " in training")


def _late_problem(before: _Layout, after: _Layout, when: str) -> Violation | None:
    late = _changes(before, after)
    if not late:
        return None
    return Violation(f"has other parameters after {when}: got {', '.join(late)}", _CREATE)


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


class _WeightRecorder(Recorder):  # type: ignore[no-untyped-call]
    """A recorder that also keeps the parameters, and other trainable tensors, that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: dict[int, Tensor] = {}
        """By identity; the values keep it from being given to another tensor."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        tensors = tensors_in((args, [*(kwargs or {}).values()]))
        self.weights |= {id(tensor): tensor for tensor in tensors if _is_weight(tensor)}
        return super().__torch_dispatch__(func, types, args, kwargs)


def _is_weight(tensor: Tensor) -> bool:
    return isinstance(tensor, nn.Parameter) or (tensor.requires_grad and tensor.is_leaf)


def _observe(copy: nn.Module, x: Tensor, original: nn.Module) -> FirstRun:
    before = _layout(copy)
    output, trace, outside = _traced(copy, x, original)
    after = _layout(copy)
    appearing, weights = _changes(before, after), None
    if appearing or outside:  # a later pass makes them no more
        output, trace, again = _traced(copy, x, original)
        late = _late_problem(after, _layout(copy), "a second pass than after the first")
        weights = late or _weight_problem(outside, again)
    shapes = copy if _is_meta(copy) else shape_copy(copy)
    problem = _lazy_problem(after) or _output_problem(output, x) or weights
    return FirstRun(tuple(x.shape), problem, None, appearing, shapes, trace)


def _traced(
    copy: nn.Module, x: Tensor, original: nn.Module
) -> tuple[Any, Trace, Mapping[int, Tensor]]:
    """Return the output, the operators, and the weights that do not belong to the module.

    A function that the constructor has made may use the original's parameters.
    """
    recorder = _WeightRecorder()
    with recorder.watching(copy), recorder:
        output: Any = copy(x)
    own = {id(x)}
    for module in (copy, original):
        own |= {id(tensor) for tensor in chain(module.parameters(), module.buffers())}
    outside = {key: tensor for key, tensor in recorder.weights.items() if key not in own}
    return output, Trace(tuple(recorder.ops), tuple(recorder.calls)), outside


def _weight_problem(outside: Mapping[int, Tensor], again: Mapping[int, Tensor]) -> Violation | None:
    """Return the violation by weights that two passes use and that are no parameters."""
    kept = [tensor for key, tensor in again.items() if key in outside]
    if kept:
        return Violation(
            f"uses weights that are not among its parameters: got {_shapes(kept)}", _REGISTER
        )
    # without the inputs of gradients that forward takes
    new = [tensor for tensor in again.values() if isinstance(tensor, nn.Parameter)]
    if new:
        return Violation(
            f"makes weights anew in each pass, so that none is trained: got {_shapes(new)}", _CREATE
        )
    return None


_REGISTER = (
    "Keep layers as attributes or in nn.ModuleList, nn.ModuleDict; loose weights as nn.Parameter "
    "attributes"
)
_CREATE = "Create them in __init__, or once in the first pass"


def _shapes(tensors: Sequence[Tensor]) -> str:
    shapes = list(dict.fromkeys(map(_shown, tensors)))
    more = f" and {len(shapes) - _SHOWN} more" if len(shapes) > _SHOWN else ""
    return ", ".join(shapes[:_SHOWN]) + more


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


def _lazy_problem(layout: _Layout) -> Violation | None:
    unsized = [name for name, (_, *facts) in layout.items() if facts[-1]]
    if not unsized:
        return None
    return Violation(
        f"has lazy parameters that no forward pass reaches: got {', '.join(unsized)}",
        "Remove them, or give them a size",
    )


def _output_problem(output: Any, x: Tensor, mode: str = "") -> Violation | None:
    """Return the violation of the contract by an output; None if it holds."""
    must = f"{mode}, must return one tensor of the input's shape"
    got = f"got {_shown(output)} for {_shown(x)}"
    if not isinstance(output, Tensor):
        return Violation(f"returns {_kind(output)}{must}: {got}")
    if output.shape != x.shape:
        return Violation(f"returns another shape{must}: {got}")
    if output.dtype != x.dtype:
        got = f"got {output.dtype} for {x.dtype}"
        return Violation(f"returns another dtype{must} and dtype: {got}")
    return None


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
